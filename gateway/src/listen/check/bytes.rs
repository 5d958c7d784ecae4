//! Which bytes may stand where, and the fast way to find the one that ends a line.

const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
/// Visible ASCII without what a URI never holds and Pingora would rewrite, and without the fragment's `#`.
const TARGET: [bool; 256] = table(b"!$%&'()*+,-./:;=?@[]_~");
/// What registered names hold in practice. Sub-delimiters and percent-encodings are legal there but only ever an attack.
const HOST: [bool; 256] = table(b"-._");

#[expect(clippy::indexing_slicing, reason = "runs in the compiler")]
const fn table(signs: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = b'0';
    while byte <= b'z' {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < signs.len() {
        table[signs[at] as usize] = true;
        at += 1;
    }
    table
}

/// How many bytes at the start are legal here.
fn run(table: &[bool; 256], bytes: &[u8]) -> usize {
    let legal = |byte: &u8| table.get(usize::from(*byte)).is_some_and(|legal| *legal);
    bytes
        .iter()
        .position(|byte| !legal(byte))
        .unwrap_or(bytes.len())
}

/// The length of the token that stands at the start (RFC 9110, section 5.6.2).
pub(super) fn token_run(bytes: &[u8]) -> usize {
    run(&TOKEN, bytes)
}

pub(super) fn target_run(bytes: &[u8]) -> usize {
    run(&TARGET, bytes)
}

pub(super) fn host_run(bytes: &[u8]) -> usize {
    run(&HOST, bytes)
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_run(bytes) == bytes.len()
}

pub(super) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// Without the spaces and tabs that may surround a field value.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Where the first control byte other than a tab stands: in a legal head, the CR that ends the line.
pub(super) fn first_control(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += first_suspect(bytes.get(at..)?)?;
        if bytes.get(at) != Some(&b'\t') {
            return Some(at);
        }
        at += 1;
    }
}

/// The first byte below 0x20 or equal to 0x7f, eight bytes at a step.
fn first_suspect(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let marks = suspects(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(number * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let before = bytes.len() - rest.len();
    rest.iter()
        .position(u8::is_ascii_control)
        .map(|at| before + at)
}

/// Marks the high bit of suspect bytes; a mark above the lowest may be false, the lowest never is.
fn suspects(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let deleted = word ^ (ONES * 0x7f);
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let is_delete = deleted.wrapping_sub(ONES) & !deleted;
    (below_space | is_delete) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_same_control_as_a_plain_loop(bytes: Vec<u8>, from in 0_usize..4) {
            let plain = bytes.iter().enumerate().skip(from)
                .find(|(_, byte)| byte.is_ascii_control() && **byte != b'\t')
                .map(|(at, _)| at);
            prop_assert_eq!(first_control(&bytes, from.min(bytes.len())), plain);
        }
    }
}
