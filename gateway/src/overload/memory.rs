//! How much memory the process holds.

use std::fs;

/// Resident memory in bytes, as the kernel tells; `None` where it tells nothing.
pub(super) fn resident() -> Option<u64> {
    parse(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        assert_eq!(parse("Name:\tx\nVmRSS:\t   12 kB\nA: b\n"), Some(12 << 10));
        assert_eq!(parse("VmRSS:\t x kB\n"), None);
        assert_eq!(parse(""), None);
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
