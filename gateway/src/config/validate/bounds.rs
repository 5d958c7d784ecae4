//! Defaults and limits of every number, time and size: one table.

use std::time::Duration;

use plugins::contract::place::At;
use plugins::contract::report::Report;
use plugins::contract::units::{ByteRate, Share, Size, Time};

/// Default, least and most of one key.
pub(super) struct Bound<T> {
    key: &'static str,
    default: T,
    min: T,
    max: T,
}

const fn millis(key: &'static str, default: u64, min: u64, max: u64) -> Bound<Time> {
    Bound {
        key,
        default: Time::from_millis(default),
        min: Time::from_millis(min),
        max: Time::from_millis(max),
    }
}

const fn bytes(key: &'static str, default: u64, min: u64, max: u64) -> Bound<Size> {
    Bound {
        key,
        default: Size::from_bytes(default),
        min: Size::from_bytes(min),
        max: Size::from_bytes(max),
    }
}

const fn count(key: &'static str, default: u32, min: u32, max: u32) -> Bound<u32> {
    Bound {
        key,
        default,
        min,
        max,
    }
}

const fn percent(key: &'static str, default: u8, min: u8, max: u8) -> Bound<Share> {
    Bound {
        key,
        default: Share::from_percent(default),
        min: Share::from_percent(min),
        max: Share::from_percent(max),
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1024;

pub(super) const WORKERS: Bound<u32> = count("workers", 1, 1, 1024);
pub(super) const SHUTDOWN_GRACE: Bound<Time> = millis("shutdown-grace", 30 * SECOND, 0, HOUR);
pub(super) const SERVER_CONNECTIONS: Bound<u32> = count("connections-max", 100_000, 1, 10_000_000);
pub(super) const UPSTREAM_IDLE_MAX: Bound<u32> = count("upstream-idle-max", 1024, 1, 1_000_000);

pub(super) const OVERLOAD_LAG: Bound<Time> = millis("lag", 100, 5, 10 * SECOND);
pub(super) const OVERLOAD_MEMORY: Bound<Size> =
    bytes("memory", 1024 * 1024 * KIB, 1024 * KIB, 1 << 50);
pub(super) const OVERLOAD_CONNECTIONS: Bound<u32> = count("connections", 10_000, 1, 10_000_000);
pub(super) const OVERLOAD_RETRY_AFTER: Bound<Time> = millis("retry-after", SECOND, SECOND, HOUR);

pub(super) const STORE_TIMEOUT: Bound<Time> = millis("timeout", 30, 1, 10 * SECOND);

pub(super) const LISTENER_CONNECTIONS: Bound<u32> = count("connections-max", 20_000, 1, 10_000_000);
pub(super) const IP_CONNECTIONS: Bound<u32> = count("connections-per-ip-max", 1000, 1, 10_000_000);
pub(super) const HEADER_TIMEOUT: Bound<Time> =
    millis("header-timeout", 10 * SECOND, 10, 10 * MINUTE);
pub(super) const BODY_TIMEOUT: Bound<Time> = millis("body-timeout", 30 * SECOND, 10, HOUR);
pub(super) const BODY_RATE: Bound<ByteRate> = Bound {
    key: "body-rate-min",
    default: ByteRate::from_bytes(256),
    min: ByteRate::from_bytes(1),
    max: ByteRate::from_bytes(1 << 30),
};
pub(super) const IDLE_TIMEOUT: Bound<Time> = millis("idle-timeout", 60 * SECOND, 10, DAY);
pub(super) const HANDSHAKE_TIMEOUT: Bound<Time> =
    millis("handshake-timeout", 10 * SECOND, 10, 10 * MINUTE);
// Browsers count whole seconds; preload lists ask for a year.
pub(super) const HSTS: Bound<Time> = millis("hsts", DAY, SECOND, 366 * DAY);
pub(super) const HEADER_BYTES: Bound<Size> =
    bytes("header-bytes-max", 32 * KIB, KIB, 1024 * KIB - 1);
// Pingora's parser takes no more fields than this.
pub(super) const HEADERS: Bound<u32> = count("headers-max", 100, 1, 256);
// A `Uri` holds hardly more.
pub(super) const URI: Bound<Size> = bytes("uri-max", 8 * KIB, 64, 60 * KIB);
pub(super) const H2_STREAMS: Bound<u32> = count("streams-max", 100, 1, 10_000);
pub(super) const H2_STREAM_WINDOW: Bound<Size> =
    bytes("stream-window", 256 * KIB, 16 * KIB, 64 * 1024 * KIB);
// HTTP/2 begins with 64 KiB less one byte and can only be given more.
pub(super) const H2_CONNECTION_WINDOW: Bound<Size> =
    bytes("connection-window", 1024 * KIB, 64 * KIB, 1024 * 1024 * KIB);

pub(super) const WEIGHT: Bound<u32> = count("weight", 1, 1, 1000);
pub(super) const SHARE: Bound<u32> = count("weight", 0, 0, 1000);
pub(super) const SLOW_START: Bound<Time> = millis("slow-start", 0, 0, HOUR);
pub(super) const COOKIE_AGE: Bound<Time> = millis("max-age", DAY, SECOND, 366 * DAY);
pub(super) const UPSTREAM_REQUESTS: Bound<u32> = count("connections-max", 1, 1, 10_000_000);
pub(super) const CONNECT_TIMEOUT: Bound<Time> =
    millis("connect-timeout", 2 * SECOND, 1, 5 * MINUTE);
pub(super) const READ_TIMEOUT: Bound<Time> = millis("read-timeout", 30 * SECOND, 1, DAY);
pub(super) const WRITE_TIMEOUT: Bound<Time> = millis("write-timeout", 30 * SECOND, 1, DAY);
pub(super) const UPSTREAM_IDLE: Bound<Time> = millis("idle-timeout", 60 * SECOND, 10, DAY);
pub(super) const RESOLVE_EVERY: Bound<Time> = millis("resolve-every", 30 * SECOND, 100, DAY);

pub(super) const CHECK_EVERY: Bound<Time> = millis("every", 5 * SECOND, 10, DAY);
pub(super) const CHECK_TIMEOUT: Bound<Time> = millis("timeout", 2 * SECOND, 1, 5 * MINUTE);
pub(super) const HEALTHY_AFTER: Bound<u32> = count("healthy-after", 2, 1, 100);
pub(super) const UNHEALTHY_AFTER: Bound<u32> = count("unhealthy-after", 3, 1, 100);
pub(super) const CONSECUTIVE_FAILURES: Bound<u32> = count("consecutive-failures", 5, 1, 1000);
pub(super) const FAILURE_RATE: Bound<Share> = percent("failure-rate", 50, 1, 100);
pub(super) const EJECTION_TIME: Bound<Time> = millis("ejection-time", 30 * SECOND, 10, DAY);
pub(super) const EJECTED_MAX: Bound<Share> = percent("ejected-max", 50, 1, 100);
pub(super) const REQUESTS_MIN: Bound<u32> = count("requests-min", 20, 1, 1_000_000);
pub(super) const BREAKER_WINDOW: Bound<Time> = millis("window", 10 * SECOND, 100, HOUR);
pub(super) const OPEN_FOR: Bound<Time> = millis("open-for", 5 * SECOND, 10, DAY);

pub(super) const ROUTE_TIMEOUT: Bound<Time> = millis("timeout", 60 * SECOND, 1, DAY);
// With the tries that are free (a pooled connection that was dead) and the fallback's: below what Pingora allows.
pub(super) const RETRY_ATTEMPTS: Bound<u32> = count("attempts", 2, 1, 10);
pub(super) const PER_TRY_TIMEOUT: Bound<Time> = millis("per-try-timeout", SECOND, 1, DAY);
pub(super) const HEDGE_AFTER: Bound<Time> = millis("hedge-after", 100, 1, HOUR);
pub(super) const RETRY_BACKOFF: Bound<Time> = millis("backoff", 25, 0, MINUTE);
pub(super) const CACHE_TTL: Bound<Time> = millis("ttl", 0, SECOND, 366 * DAY);
pub(super) const CACHE_TTL_OVERRIDE: Bound<Time> = millis("ttl-override", 0, SECOND, 366 * DAY);
pub(super) const STALE_WHILE: Bound<Time> = millis("stale-while-revalidate", 0, 0, 366 * DAY);
pub(super) const STALE_IF_ERROR: Bound<Time> = millis("stale-if-error", 0, 0, 366 * DAY);
pub(super) const OBJECT_MAX: Bound<Size> =
    bytes("object-max", 8 * 1024 * KIB, KIB, 1024 * 1024 * KIB);
pub(super) const ZONE_MEMORY: Bound<Size> = bytes(
    "memory",
    64 * 1024 * KIB,
    1024 * KIB,
    1024 * 1024 * 1024 * KIB,
);
pub(super) const ZONE_DISK: Bound<Size> = bytes(
    "size",
    1024 * 1024 * KIB,
    1024 * KIB,
    64 * 1024 * 1024 * 1024 * KIB,
);
pub(super) const STREAM_IDLE: Bound<Time> = millis("stream-idle-timeout", 5 * MINUTE, 1, DAY);
pub(super) const STREAM_MAX: Bound<Time> = millis("stream-max", DAY, 1, 365 * DAY);

impl<T: Copy + PartialOrd + std::fmt::Display> Bound<T> {
    /// The value within the bounds; out of them a complaint and the default.
    pub(super) fn take(&self, written: Option<&At<T>>, report: &mut Report) -> T {
        let Some(leaf) = written else {
            return self.default;
        };
        let value = **leaf;
        let Self { key, min, max, .. } = self;
        let message = if value < *min {
            format!("`{key}` is too small")
        } else if value > *max {
            format!("`{key}` is too large")
        } else {
            return value;
        };
        report
            .error(leaf.span(), "config.range", message)
            .help(format!("at least {min}, at most {max}"));
        self.default
    }
}

impl Bound<Time> {
    /// The same as a duration.
    pub(super) fn duration(&self, written: Option<&At<Time>>, report: &mut Report) -> Duration {
        self.take(written, report).duration()
    }
}

impl Bound<Size> {
    /// The same as a number of bytes in memory.
    pub(super) fn bytes(&self, written: Option<&At<Size>>, report: &mut Report) -> usize {
        usize::try_from(self.take(written, report).bytes()).unwrap_or(usize::MAX)
    }
}

impl Bound<u32> {
    /// The same as a number of things in memory.
    pub(super) fn count(&self, written: Option<&At<u32>>, report: &mut Report) -> usize {
        usize::try_from(self.take(written, report)).unwrap_or(usize::MAX)
    }
}
