//! The compact form of a token, `header.payload.signature` (RFC 7515 section 7.1), judged before any cryptography.
//!
//! A token has one spelling: base64url without padding, without spaces, without bits to spare. Otherwise one token
//! could be written in several ways, and whoever keeps a list of tokens by their text would miss some.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::fault::{Fault, Part};
use super::json;

/// A token whose parts are what they should be. Nothing of it is true before its signature has been verified.
#[derive(Debug)]
pub struct Compact<'a> {
    /// Members of the header.
    pub header: Map<String, Value>,
    /// What the signature is over: header and payload as they were sent.
    pub signed: &'a [u8],
    /// The payload as it was sent.
    payload: &'a str,
    /// The signature as it was sent, in canonical base64url.
    pub signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Takes a token of at most this many bytes apart.
    pub fn parse(token: &'a str, bytes_max: usize) -> Result<Self, Fault> {
        if token.len() > bytes_max {
            return Err(Fault::TooLarge(bytes_max));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Parts);
        };
        match parts.count() {
            0 => {}
            2 => return Err(Fault::Encrypted),
            _ => return Err(Fault::Parts),
        }
        decoded(signature, Part::Signature)?;
        let signed = token.as_bytes().get(..header.len() + 1 + payload.len());
        Ok(Self {
            header: object(header, Part::Header)?,
            signed: signed.ok_or(Fault::Parts)?,
            payload,
            signature,
        })
    }

    /// The payload's bytes.
    pub fn payload(&self) -> Result<Vec<u8>, Fault> {
        decoded(self.payload, Part::Payload)
    }

    /// The payload's members.
    pub fn claims(&self) -> Result<Map<String, Value>, Fault> {
        object(self.payload, Part::Payload)
    }
}

fn object(text: &str, part: Part) -> Result<Map<String, Value>, Fault> {
    json::object(&decoded(text, part)?).ok_or(Fault::Json(part))
}

/// The engine refuses padding, foreign bytes and bits to spare.
fn decoded(text: &str, part: Part) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Fault::Encoding(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "eyJhbGciOiJIUzI1NiJ9";
    const PAYLOAD: &str = "eyJpc3MiOiJhIn0";

    fn fault(token: &str) -> Option<Fault> {
        let compact = match Compact::parse(token, 100) {
            Ok(compact) => compact,
            Err(fault) => return Some(fault),
        };
        compact.claims().err()
    }

    #[test]
    fn takes_a_token_apart() {
        let token = format!("{HEADER}.{PAYLOAD}.AQID");
        let compact = Compact::parse(&token, token.len()).unwrap();
        assert_eq!(compact.header.get("alg").unwrap(), "HS256");
        assert_eq!(compact.claims().unwrap().get("iss").unwrap(), "a");
        assert_eq!(compact.signed, format!("{HEADER}.{PAYLOAD}").as_bytes());
        assert_eq!(compact.signature, "AQID");
    }

    #[test]
    fn counts_bytes_and_parts() {
        let token = format!("{HEADER}.{PAYLOAD}.AQID");
        assert_eq!(
            Compact::parse(&token, token.len() - 1).unwrap_err(),
            Fault::TooLarge(token.len() - 1)
        );
        assert_eq!(fault(""), Some(Fault::Parts));
        assert_eq!(fault("a"), Some(Fault::Parts));
        assert_eq!(fault("a.b"), Some(Fault::Parts));
        assert_eq!(fault(&format!("{token}.")), Some(Fault::Parts));
        assert_eq!(fault(&format!("{token}.a.b")), Some(Fault::Encrypted));
        assert_eq!(fault(&format!("{token}.a.b.c")), Some(Fault::Parts));
        assert_eq!(fault(".."), Some(Fault::Json(Part::Header)));
    }

    #[test]
    fn knows_one_spelling() {
        let header = |text: &str| fault(&format!("{text}.{PAYLOAD}.AQID"));
        let payload = |text: &str| fault(&format!("{HEADER}.{text}.AQID"));
        let signature = |text: &str| fault(&format!("{HEADER}.{PAYLOAD}.{text}"));
        assert_eq!(signature("AQI"), None);
        for text in [
            "AQI=",
            "AQJ",
            "AQID ",
            " AQID",
            "AQ ID",
            "AQ\nID",
            "AQID\r\n",
            "A+/A",
            "AQI\u{e9}",
            "A",
        ] {
            assert_eq!(
                signature(text),
                Some(Fault::Encoding(Part::Signature)),
                "{text:?}"
            );
        }
        assert_eq!(
            payload("eyJpc3MiOiJhIn1"),
            Some(Fault::Encoding(Part::Payload))
        );
        assert_eq!(
            payload("eyJpc3MiOiJhIn0="),
            Some(Fault::Encoding(Part::Payload))
        );
        assert_eq!(payload("WzFd"), Some(Fault::Json(Part::Payload)), "[1]");
        assert_eq!(
            header(&format!("{HEADER}=")),
            Some(Fault::Encoding(Part::Header))
        );
        assert_eq!(
            header(&format!(" {HEADER}")),
            Some(Fault::Encoding(Part::Header))
        );
        assert_eq!(header("bm8"), Some(Fault::Json(Part::Header)), "no");
    }
}
