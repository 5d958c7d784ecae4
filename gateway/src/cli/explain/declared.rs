//! `--jwt claims.json`: the claims of a token that counts as verified, so that nobody needs keys to ask.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

/// More than any token holds.
const BYTES_MAX: u64 = 1 << 20;

/// The claims in a file, which is one JSON object.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, String> {
    let said = |why: &dyn std::fmt::Display| format!("--jwt {}: {why}", path.display());
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| said(&error))?;
    let read = file.take(BYTES_MAX).read_to_end(&mut text);
    read.map_err(|error| said(&error))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err(said(
            &"the claims of a token are an object, for example {\"sub\": \"me\"}",
        )),
        Err(error) => Err(said(&error)),
    }
}
