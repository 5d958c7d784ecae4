//! Keys that no table has, and what was probably meant.

use plugins::contract::report::nearest;
use serde_json::Value;

use super::{Key, Node, Walk, alternatives, is_map, is_secret, object_of, resolved};

/// The longest list of keys that a complaint spells out.
const LISTED_MAX: usize = 32;

impl Walk<'_> {
    /// Reports an unknown key; gives the key that was probably meant.
    pub(super) fn unknown_key(
        &mut self,
        key: &Key<'_>,
        node: &Node<'_>,
        schema: &Value,
    ) -> Option<String> {
        let name = key.get_ref().as_ref();
        let properties = schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> = properties
            .into_iter()
            .flat_map(|properties| properties.keys())
            .map(String::as_str)
            .collect();
        let kebab = name.replace('_', "-").to_ascii_lowercase();
        let elsewhere = self.elsewhere(name);
        let guess = || nearest(&kebab, known.iter().copied()).filter(|_| elsewhere.is_none());
        let meant = known
            .iter()
            .copied()
            .find(|other| *other == kebab)
            .or_else(guess);
        let message = match self.path.as_slice() {
            [] if node.get_ref().is_table() => format!("unknown table [{name}]"),
            _ => format!("unknown key `{name}` in {}", self.here()),
        };
        let listed = if self.path.is_empty() {
            "tables"
        } else {
            "keys"
        };
        let complaint = self.report.error(key.span(), "config.unknown-key", message);
        match (meant, elsewhere) {
            (Some(meant), _) => complaint.help(format!("did you mean `{meant}`?")),
            (None, Some(place)) => complaint.help(format!("`{name}` is a key of {place}")),
            (None, None) if known.len() <= LISTED_MAX => {
                complaint.help(format!("the {listed} here are {}", known.join(", ")))
            }
            (None, None) => complaint,
        };
        self.excuse(
            name,
            node,
            meant,
            properties.and_then(|all| all.get(meant?)),
        );
        meant.map(str::to_owned)
    }

    /// The table at the top that has this key, if just one does.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let tables = super::schema().get("properties")?.as_object()?;
        let own = self.path.first().map_or("", String::as_str);
        let mut found = tables.iter().filter_map(|(table, schema)| {
            let (shown, schema) = match object_of(table) {
                Some(object) => (format!("[{table}.NAME]"), resolved(object)),
                None => (format!("[{table}]"), resolved(schema)),
            };
            let has = schema.get("properties")?.get(name).is_some();
            (has && table != own && table != "defaults" && table != "always").then_some(shown)
        });
        found.next().filter(|_| found.next().is_none())
    }

    /// Sees to it that nobody complains about what the mistyped key would have said.
    fn excuse(&mut self, name: &str, node: &Node<'_>, meant: Option<&str>, schema: Option<&Value>) {
        self.hurt();
        if schema.is_some_and(|schema| alternatives(schema).into_iter().any(is_secret)) {
            self.damage.hide(node.span());
        }
        // [upstraem.orders]: [upstream.orders] is not unknown, it is mistyped.
        if let (true, Some(objects)) = (self.path.is_empty(), node.get_ref().as_table()) {
            for table in [Some(name), meant].into_iter().flatten() {
                for object in objects.keys().filter(|_| table == name || is_map(table)) {
                    self.damage.add_object(table, object.get_ref());
                }
            }
        }
    }
}
