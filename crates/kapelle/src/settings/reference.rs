//! The manual of the settings, made from their doc comments.

use std::fmt::Write;

use super::{SECTIONS, Settings, environment, section};

const PREFACE: &str = "# Configuration

<!-- Made by `kapelle config reference` from the settings' doc comments; a test compares them. -->

Settings come from, in this order, later ones winning:

1. the defaults below;
2. a TOML file: the one that `--config FILE` or `KAPELLE_CONFIG` names, else `kapelle.toml` in the data folder if there is one;
3. environment variables `KAPELLE_SECTION__FIELD`, lists separated by commas; an empty one takes a value back;
4. flags of the command line.

The data folder is `--data DIR`, else `KAPELLE_DATA`, else `./kapelle-data`. `kapelle config show` lists every value and where it
comes from; `kapelle config check` says what is wrong with them, each with file and line. Nothing unknown is passed over:
a mistyped key or variable is an error that names the nearest setting.

Times are written `500ms`, `30s`, `10m`, `12h`, `90d`; sizes `64 KiB`, `512 MiB`, `2 GiB`. Relative paths start where the
program is started.

```toml
[server]
listen = \"0.0.0.0:8080\"
public_url = \"https://packages.example.com/\"

[network]
allow = [\"10.1.0.0/16\"]
```
";

/// `docs/configuration.md`
pub(crate) fn markdown() -> String {
    let defaults = Settings::default();
    let mut manual = PREFACE.to_owned();
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = writeln!(
            manual,
            "\n## `[{}]`\n\n{}",
            section.name,
            section::text(section.about)
        );
        for field in section.fields {
            let _ = write!(
                manual,
                "\n### `{section}.{name}`\n\n{about}\n\n{expects}; default: {default}; environment: `{variable}`\n",
                section = section.name,
                name = field.name,
                about = section::text(field.about),
                expects = capitalized(&(field.expects)()),
                default = default((field.show)(&defaults)),
                variable = environment::name(section.name, field.name),
            );
        }
    }
    manual
}

fn default(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "none".to_owned(),
        serde_json::Value::Array(items) if items.is_empty() => "empty".to_owned(),
        value => format!("`{value}`"),
    }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}
