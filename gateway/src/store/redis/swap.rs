//! Taking a key that nobody has, and replacing what one has put there oneself: a script each, because no single command
//! does so on every server.

use bytes::Bytes;
use plugins::contract::services::Script;
use redis::{RedisResult, Value};

use super::unexpected;

/// Value, lifetime; returns what is there already.
pub(super) static CLAIM: Script = Script {
    name: "claim",
    text: "local kept = redis.call('GET', KEYS[1])
if kept then return kept end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false",
};

/// Old value, new value and lifetime; without those two it deletes. Returns whether the old value was there.
pub(super) static EXCHANGE: Script = Script {
    name: "exchange",
    text: "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('DEL', KEYS[1])
end
return 1",
};

/// What [`CLAIM`] returns.
pub(super) fn value(answer: Value) -> RedisResult<Option<Bytes>> {
    if answer == Value::Nil {
        return Ok(None);
    }
    let Value::BulkString(bytes) = answer else {
        return Err(unexpected());
    };
    Ok(Some(bytes.into()))
}

/// What [`EXCHANGE`] returns.
pub(super) fn done(answer: &Value) -> RedisResult<bool> {
    let Value::Int(done @ (0 | 1)) = answer else {
        return Err(unexpected());
    };
    Ok(*done == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_what_a_script_returns() {
        assert_eq!(value(Value::Nil).unwrap(), None);
        let kept = value(Value::BulkString(b"kept".to_vec())).unwrap();
        assert_eq!(kept.as_deref(), Some(&b"kept"[..]));
        assert!(done(&Value::Int(1)).unwrap() && !done(&Value::Int(0)).unwrap());
        for wrong in [Value::Okay, Value::Int(2), Value::SimpleString("1".into())] {
            assert!(value(wrong.clone()).is_err(), "{wrong:?}");
            assert!(done(&wrong).is_err(), "{wrong:?}");
        }
    }
}
