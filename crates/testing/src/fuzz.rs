//! Fuzz targets: inputs that are real ones, bent, and the macro that runs a target.
//!
//! A target is an ordinary test around [`check!`]. `cargo nextest run` gives each a second; `make fuzz` as long as one
//! likes. A failure is shrunk and shows the input; it becomes a test of its own beside the code that it broke.

pub use bolero::check;
use bolero::generator::ValueGenerator;
use bolero::produce;
use serde_json::Value;

/// The longest input.
const LONGEST: usize = 64 * 1024;
/// The most changes to one seed.
const CHANGES: usize = 12;
/// What numbers are replaced with: where limits of grammars and of machine words lie.
const NUMBERS: [&str; 14] = [
    "",
    "0",
    "00",
    "1",
    "-1",
    "9",
    "99999",
    "100000",
    "9999999",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e309",
];

/// Bytes made of `seeds` by cutting, repeating, mixing, and adding `words`.
pub fn bytes(
    seeds: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    words: &'static [&'static str],
) -> impl ValueGenerator<Output = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(Into::into).collect();
    script().map_gen(move |script| {
        Bender {
            seeds: &seeds,
            words,
        }
        .bend(&script)
    })
}

/// Text made the same way; what would be no UTF-8 is replaced.
pub fn text(
    seeds: impl IntoIterator<Item = impl Into<String>>,
    words: &'static [&'static str],
) -> impl ValueGenerator<Output = String> {
    let seeds = seeds.into_iter().map(|seed| seed.into().into_bytes());
    bytes(seeds, words).map_gen(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Raw choices, for targets that build their input themselves: see [`Script`].
pub fn script() -> impl ValueGenerator<Output = Vec<u8>> {
    produce::<Vec<u8>>().with().len(0_usize..160)
}

/// Every text in a JSON fixture: keys and values.
///
/// # Panics
///
/// If it is no JSON.
#[must_use]
pub fn texts(json: &str) -> Vec<String> {
    fn collect(value: &Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|value| collect(value, texts)),
            Value::Object(map) => {
                for (key, value) in map {
                    texts.push(key.clone());
                    collect(value, texts);
                }
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    let value = serde_json::from_str(json).expect("a fixture of JSON");
    collect(&value, &mut texts);
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// Choices read from bytes, one after the other; zeros when they are used up.
#[derive(Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left to choose from.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        number.checked_rem(end).unwrap_or(0)
    }

    /// One of several.
    pub fn one_of<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        all.get(self.below(all.len()))
    }

    /// Up to `most` bytes as they are.
    pub fn raw(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Bender<'a> {
    seeds: &'a [Vec<u8>],
    words: &'static [&'static str],
}

impl Bender<'_> {
    fn bend(&self, script: &[u8]) -> Vec<u8> {
        let mut script = Script::new(script);
        if script.byte() < 8 {
            return script.raw(LONGEST).to_vec();
        }
        let mut input = self.seed(&mut script).to_vec();
        let mut changes = usize::from(script.byte()) % CHANGES;
        while changes > 0 && !script.is_over() {
            self.change(&mut input, &mut script);
            input.truncate(LONGEST);
            changes -= 1;
        }
        input
    }

    fn seed(&self, script: &mut Script<'_>) -> &[u8] {
        script.one_of(self.seeds).map_or(&[], Vec::as_slice)
    }

    fn change(&self, input: &mut Vec<u8>, script: &mut Script<'_>) {
        let kind = script.byte() % 10;
        let at = script.below(input.len() + 1);
        let end = input.len().min(at + 1 + usize::from(script.byte() % 16));
        match kind {
            0 | 1 => {
                let word = script.one_of(self.words).copied().unwrap_or_default();
                input.splice(at..at, word.bytes());
            }
            2 => {
                input.drain(at..end);
            }
            3 => {
                let new = script.byte();
                input.get_mut(at).into_iter().for_each(|byte| *byte = new);
            }
            4 => {
                let bit = 1 << (script.byte() % 8);
                input.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
            }
            5 => {
                let times = [1, 2, 5, 100][usize::from(script.byte()) % 4];
                let repeated = input[at..end].repeat(times);
                input.splice(at..at, repeated);
            }
            6 => {
                let other = self.seed(script);
                let from = script.below(other.len() + 1);
                let to = other.len().min(from + 1 + usize::from(script.byte()));
                input.splice(at..end, other[from..to].iter().copied());
            }
            7 => {
                let length = usize::from(script.byte() % 8);
                input.splice(at..at, script.raw(length).iter().copied());
            }
            8 => input.truncate(at),
            _ => replace_number(input, at, script),
        }
    }
}

/// Replaces the first run of digits from `at` on.
fn replace_number(input: &mut Vec<u8>, at: usize, script: &mut Script<'_>) {
    let is_digit = u8::is_ascii_digit;
    let Some(start) = input[at..]
        .iter()
        .position(is_digit)
        .map(|found| at + found)
    else {
        return;
    };
    let length = input[start..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    let number = script.one_of(&NUMBERS).copied().unwrap_or_default();
    input.splice(start..start + length, number.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_seed_when_nothing_changes_it() {
        let bender = Bender {
            seeds: &[b"a".to_vec(), b"b".to_vec()],
            words: &[],
        };
        assert_eq!(bender.bend(&[9, 0, 1]), b"b");
        assert_eq!(bender.bend(&[0, b'x']), b"x");
    }

    #[test]
    fn numbers_and_words_are_put_in() {
        let mut input = b"v1.20".to_vec();
        replace_number(&mut input, 2, &mut Script::new(&[0, 6]));
        assert_eq!(input, b"v1.99999");
        let bender = Bender {
            seeds: &[b"ab".to_vec()],
            words: &["--"],
        };
        assert_eq!(bender.bend(&[9, 0, 0, 1, 0, 0, 1, 0]), b"a--b");
    }
}
