//! What a condition may hold: bounded depth, known names, known functions, headers and parameters by literal names.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};

use super::DEPTH_MAX;
use crate::contract::leaf::LeafError;
use crate::contract::report::nearest;
use crate::contract::value::Value;

/// How deep macros may nest: the cost is the length of the lists to this power.
const LOOPS_MAX: usize = 2;

/// Names that are there; those with fields have no others.
const ROOTS: &[(&str, &[&str])] = &[
    (
        "request",
        &["method", "host", "path", "secure", "headers", "query"],
    ),
    ("client", &["ip"]),
    ("consumer", &["name", "plan", "groups", "metadata"]),
    (
        "identity",
        &["provider", "issuer", "subject", "plan", "groups", "scopes"],
    ),
    ("claims", &[]),
];
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];
const ARITHMETIC: &[&str] = &[
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];
const COMPARISONS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::INDEX,
    operators::IN,
    operators::NOT_STRICTLY_FALSE,
];

/// What a condition reads of a request.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// `header.…` and `query.…`, each once.
    pub(super) values: Vec<Value>,
    /// Whether it holds a macro.
    pub(super) loops: bool,
}

struct Walk {
    reads: Reads,
    /// Variables of the macros around.
    bound: Vec<String>,
    depth: usize,
    loops: usize,
}

type Checked = Result<(), LeafError>;

pub(super) fn check(expression: &IdedExpr) -> Result<Reads, LeafError> {
    let plainly_not = match &expression.expr {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => true,
        Expr::Call(call) => ARITHMETIC.contains(&&*call.func_name) || call.func_name == "size",
        Expr::Unspecified | Expr::Comprehension(_) | Expr::Ident(_) | Expr::Select(_) => false,
    };
    if plainly_not {
        return Err(no_condition());
    }
    let mut walk = Walk {
        reads: Reads::default(),
        bound: Vec::new(),
        depth: 0,
        loops: 0,
    };
    walk.expression(expression)?;
    Ok(walk.reads)
}

pub(super) fn no_condition() -> LeafError {
    LeafError::new("this comes to something else than yes or no")
        .help("compare it with something, for example \"claims.level >= 3\"")
}

impl Walk {
    fn expression(&mut self, expression: &IdedExpr) -> Checked {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(LeafError::new("the condition is nested too deeply")
                .help(format!("{DEPTH_MAX} levels are allowed; use `in` with a list instead of many comparisons")));
        }
        let checked = self.inner(expression);
        self.depth -= 1;
        checked
    }

    fn inner(&mut self, expression: &IdedExpr) -> Checked {
        if let Some((root, fields)) = self.path(expression) {
            return self.named(root, &fields);
        }
        match &expression.expr {
            // Names were met above: an identifier is the variable of a macro.
            Expr::Literal(_) | Expr::Ident(_) => Ok(()),
            Expr::Select(select) => self.expression(&select.operand),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|one| self.expression(one)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key)?;
                    self.expression(&entry.value)
                }
                EntryExpr::StructField(field) => self.expression(&field.value),
            }),
            Expr::Struct(_) | Expr::Unspecified => {
                Err(LeafError::new("messages cannot be made in a condition"))
            }
        }
    }

    /// `a.b.c` as its first name and the rest, also below `has()`; `None` for the variable of a macro and for all that is
    /// no plain name.
    fn path<'e>(&self, expression: &'e IdedExpr) -> Option<(&'e str, Vec<&'e str>)> {
        let (mut at, mut fields) = (expression, Vec::new());
        while let Expr::Select(select) = &at.expr {
            fields.push(&*select.field);
            at = &select.operand;
        }
        let Expr::Ident(name) = &at.expr else {
            return None;
        };
        fields.reverse();
        (!self.bound.contains(name)).then_some((name, fields))
    }

    fn named(&mut self, root: &str, fields: &[&str]) -> Checked {
        let Some((_, known)) = ROOTS.iter().find(|(name, _)| *name == root) else {
            return if TYPES.contains(&root) && fields.is_empty() {
                Ok(())
            } else {
                Err(unknown(root))
            };
        };
        match (root, fields) {
            ("request", ["headers", name]) => self.reads("header", name),
            ("request", ["query", name]) => self.reads("query", name),
            ("request", ["headers" | "query"]) => Err(LeafError::new(
                "headers and parameters can be asked for by a literal name only",
            )
            .help("write request.headers['x-tenant'] or 'x-tenant' in request.headers")),
            ("request" | "client", []) => Err(LeafError::new(format!("`{root}` is no value"))
                .help(format!("write one of its fields: {}", listed(root, known)))),
            ("claims", _) | (_, []) => Ok(()),
            (_, [field, ..]) if known.contains(field) => Ok(()),
            (_, [field, ..]) => {
                let error = LeafError::new(format!("`{root}` has no `{field}`"));
                Err(match nearest(field, known.iter().copied()) {
                    Some(near) => error.help(format!("did you mean `{root}.{near}`?")),
                    None => error.help(format!("there are {}", listed(root, known))),
                })
            }
        }
    }

    /// Writes down that a header or parameter is read.
    fn reads(&mut self, kind: &str, name: &str) -> Checked {
        if kind == "header" && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let lower = name.to_ascii_lowercase();
            return Err(LeafError::new(format!("no header is called `{name}` here"))
                .help(format!("names are in lower case: write '{lower}'")));
        }
        let value: Value = format!("{kind}.{name}").parse()?;
        if !self.reads.values.contains(&value) {
            self.reads.values.push(value);
        }
        Ok(())
    }

    fn call(&mut self, call: &CallExpr) -> Checked {
        let name = &*call.func_name;
        if let Some((kind, literal)) = self.asks_for_one(call) {
            return self.reads(kind, &literal);
        }
        let operator = COMPARISONS.contains(&name) || ARITHMETIC.contains(&name);
        if !operator && !FUNCTIONS.contains(&name) {
            let error = LeafError::new(format!("there is no function `{name}`"));
            return Err(match nearest(name, FUNCTIONS.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("there are {}", FUNCTIONS.join(", "))),
            });
        }
        if name == "matches" {
            is_pattern(call.args.last())?;
        }
        let parts = call.target.as_deref().into_iter().chain(&call.args);
        for part in parts {
            self.expression(part)?;
        }
        Ok(())
    }

    /// `request.headers['x']` and `'x' in request.headers`.
    fn asks_for_one(&self, call: &CallExpr) -> Option<(&'static str, String)> {
        let ((operators::INDEX, [map, name]) | (operators::IN, [name, map])) =
            (&*call.func_name, call.args.as_slice())
        else {
            return None;
        };
        let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
            return None;
        };
        let kind = match self.path(map)? {
            ("request", fields) if fields == ["headers"] => "header",
            ("request", fields) if fields == ["query"] => "query",
            _ => return None,
        };
        Some((kind, name.inner().to_owned()))
    }

    fn comprehension(&mut self, macro_call: &ComprehensionExpr) -> Checked {
        self.reads.loops = true;
        self.expression(&macro_call.iter_range)?;
        self.loops += 1;
        if self.loops > LOOPS_MAX {
            return Err(LeafError::new("macros are nested too deeply").help(format!(
                "{LOOPS_MAX} levels of all, exists, map or filter are allowed"
            )));
        }
        let before = self.bound.len();
        let second = macro_call.iter_var2.iter();
        for name in [&macro_call.iter_var, &macro_call.accu_var]
            .into_iter()
            .chain(second)
        {
            if ROOTS.iter().any(|(root, _)| root == name) {
                return Err(LeafError::new(format!("`{name}` has a meaning already"))
                    .help("give the variable of the macro another name"));
            }
            self.bound.push(name.clone());
        }
        for part in [
            &macro_call.accu_init,
            &macro_call.loop_cond,
            &macro_call.loop_step,
            &macro_call.result,
        ] {
            self.expression(part)?;
        }
        self.bound.truncate(before);
        self.loops -= 1;
        Ok(())
    }
}

/// A pattern that came with the request could cost anything, so it is a literal, and it is one that can be read.
fn is_pattern(pattern: Option<&IdedExpr>) -> Checked {
    let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|one| &one.expr) else {
        return Err(LeafError::new("the pattern of `matches` is no literal")
            .help("write it as a string: request.path.matches('^/v[12]/')"));
    };
    match regex::Regex::new(pattern.inner()) {
        Ok(_) => Ok(()),
        Err(_) => Err(LeafError::new(format!(
            "`{}` is not a pattern",
            pattern.inner()
        ))),
    }
}

fn listed(root: &str, fields: &[&str]) -> String {
    let names: Vec<String> = fields
        .iter()
        .map(|field| format!("{root}.{field}"))
        .collect();
    names.join(", ")
}

fn unknown(name: &str) -> LeafError {
    let error = LeafError::new(format!("there is no `{name}`"));
    let roots = || ROOTS.iter().map(|(root, _)| *root);
    match nearest(name, roots()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!(
            "there are {}",
            roots().collect::<Vec<_>>().join(", ")
        )),
    }
}
