//! Percent-encoding as RFC 3986 has it and PHP's `rawurlencode` does it: all but letters, digits and `-_.~`.

/// What stands for each byte: up to three bytes, and how many.
const FORMS: [([u8; 3], u8); 256] = forms();
/// How much is encoded before it is handed on.
const BLOCK: usize = 4 * 1024;

const fn forms() -> [([u8; 3], u8); 256] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut forms = [([0; 3], 0); 256];
    let mut byte = 0_u8;
    loop {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        forms[byte as usize] = if plain {
            ([byte, 0, 0], 1)
        } else {
            let (high, low) = (HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]);
            ([b'%', high, low], 3)
        };
        if byte == u8::MAX {
            return forms;
        }
        byte += 1;
    }
}

/// Hands over the encoded form of `bytes`, piece by piece.
pub(crate) fn encode(bytes: &[u8], mut sink: impl FnMut(&[u8])) {
    let mut block = [0; BLOCK + 3];
    for part in bytes.chunks(BLOCK / 3) {
        let mut length = 0;
        for byte in part {
            let (form, used) = FORMS[usize::from(*byte)];
            // All three at once: what is too much is written over by the next.
            block[length..length + 3].copy_from_slice(&form);
            length += usize::from(used);
        }
        sink(&block[..length]);
    }
}

/// The encoded form at once.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    encode(bytes, |piece| {
        text.extend(piece.iter().map(|byte| char::from(*byte)));
    });
    text
}

/// PHP's `urldecode`: a plus sign is a space; what is no escape stays as it is.
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escaped = (byte == b'%')
            .then(|| digit(at + 1).zip(digit(at + 2)))
            .flatten()
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(match escaped {
            Some(escaped) => escaped,
            None if byte == b'+' => b' ',
            None => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    bytes
}
