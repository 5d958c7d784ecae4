//! What the sample upstreams know: three orders, three users, four things to buy.

use serde_json::{Value, json};

/// What an instance answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Orders,
    Users,
    Catalog,
}

impl Subject {
    /// Where its list is; an entry is one segment below.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Orders => "/orders",
            Self::Users => "/users",
            Self::Catalog => "/catalog/items",
        }
    }

    /// The name of its list in an answer.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Users => "users",
            Self::Catalog => "items",
        }
    }

    /// The name of one entry in an answer.
    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Orders => "order",
            Self::Users => "user",
            Self::Catalog => "item",
        }
    }

    /// Everything there is.
    pub(super) fn entries(self) -> Vec<Value> {
        match self {
            Self::Orders => orders(),
            Self::Users => users(),
            Self::Catalog => items(),
        }
    }

    /// The entry with this id.
    pub(super) fn entry(self, id: &str) -> Option<Value> {
        self.entries()
            .into_iter()
            .find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))
    }
}

fn orders() -> Vec<Value> {
    vec![
        json!({
            "id": "1001", "user": "ada", "status": "shipped", "placed": "2026-11-02T09:14:00Z",
            "lines": [{ "item": "lamp", "quantity": 2 }, { "item": "desk", "quantity": 1 }],
            "total": { "amount": "347.00", "currency": "EUR" },
        }),
        json!({
            "id": "1002", "user": "grace", "status": "paid", "placed": "2026-11-09T17:40:00Z",
            "lines": [{ "item": "chair", "quantity": 4 }],
            "total": { "amount": "516.00", "currency": "EUR" },
        }),
        json!({
            "id": "1003", "user": "ada", "status": "open", "placed": "2026-11-20T07:03:00Z",
            "lines": [{ "item": "shelf", "quantity": 1 }],
            "total": { "amount": "84.50", "currency": "EUR" },
        }),
    ]
}

fn users() -> Vec<Value> {
    vec![
        json!({ "id": "ada", "name": "Ada Lovelace", "plan": "premium", "since": "2023-12-10" }),
        json!({ "id": "grace", "name": "Grace Hopper", "plan": "free", "since": "2024-12-09" }),
        json!({ "id": "alan", "name": "Alan Turing", "plan": "free", "since": "2025-06-23" }),
    ]
}

fn items() -> Vec<Value> {
    vec![
        json!({ "id": "lamp", "name": "Desk lamp", "price": "49.00", "stock": 120 }),
        json!({ "id": "desk", "name": "Oak desk", "price": "249.00", "stock": 8 }),
        json!({ "id": "chair", "name": "Office chair", "price": "129.00", "stock": 31 }),
        json!({ "id": "shelf", "name": "Wall shelf", "price": "84.50", "stock": 0 }),
    ]
}
