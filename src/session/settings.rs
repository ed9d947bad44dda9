//! The settings of a session file: `#!NAME VALUE` lines before the first message.

use super::Error;
use crate::text::{is_white, shown, trim};

/// One entry of a setting that may be given several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its line number, for an error in its text.
    pub number: u64,
    /// Its text, without white space at its ends. It is not checked here: the option of the same name parses it.
    pub text: Vec<u8>,
}

/// The settings of a session file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The server's port, 1 to 65535; the last one given. `None` is the usual 5050.
    pub port: Option<u16>,
    /// Parameters that are not compared.
    pub ignore: Vec<Listed>,
    /// Patterns of messages that are not compared.
    pub exclude: Vec<Listed>,
    /// Patterns of messages that may arrive anywhere in their block.
    pub any_order: Vec<Listed>,
    /// Whether messages that were not recorded are differences.
    pub exact: bool,
}

impl Settings {
    /// Adds the `#!` line of this number; `text` is what follows the mark.
    pub(super) fn add(&mut self, number: u64, text: &[u8]) -> Result<(), Error> {
        let text = trim(text);
        let (name, value) = text.split_at(text.iter().position(|&byte| is_white(byte)).unwrap_or(text.len()));
        let value = trim(value);
        let wants = |what: &str| format!("setting {} wants {what}", shown(name));
        let listed = |what| match value {
            b"" => Err(wants(what)),
            _ => Ok(Listed { number, text: value.to_vec() }),
        };
        match name {
            b"port" => self.port = Some(parse_port(value).ok_or_else(|| wants("a number from 1 to 65535"))?),
            b"ignore" => self.ignore.push(listed("NAME or COMMAND.NAME")?),
            b"exclude" => self.exclude.push(listed("a pattern")?),
            b"any-order" => self.any_order.push(listed("a pattern")?),
            b"exact" if value.is_empty() => self.exact = true,
            b"exact" => return Err(wants("no value").into()),
            _ => {
                let known = "port, ignore, exclude, any-order and exact";
                return Err(format!("unknown setting '{}': known are {known}", shown(name)).into());
            }
        }
        Ok(())
    }
}

fn parse_port(value: &[u8]) -> Option<u16> {
    let digits = value.iter().all(u8::is_ascii_digit).then_some(value)?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Settings, String> {
        let mut settings = Settings::default();
        for (line, number) in lines.iter().zip(2..) {
            settings.add(number, line.as_bytes()).map_err(|error| error.to_string())?;
        }
        Ok(settings)
    }

    #[test]
    fn lists_grow_and_other_settings_are_replaced() {
        let lines = ["port 5050", " port\t 5051 ", "ignore a", "ignore x.b", "exclude m?n=a b", "any-order v", "exact"];
        let listed = |number, text: &str| Listed { number, text: text.as_bytes().to_vec() };
        let expected = Settings {
            port: Some(5051),
            ignore: vec![listed(4, "a"), listed(5, "x.b")],
            exclude: vec![listed(6, "m?n=a b")],
            any_order: vec![listed(7, "v")],
            exact: true,
        };
        assert_eq!(read(&lines), Ok(expected));
    }

    #[test]
    fn wrong_value_says_what_is_wanted() {
        for port in ["port", "port 0", "port 65536", "port +1", "port x", "port 1 2"] {
            assert_eq!(read(&[port]), Err("setting port wants a number from 1 to 65535".to_owned()), "{port}");
        }
        for line in ["exact yes", "ignore", "exclude ", "any-order"] {
            let wanted = format!("setting {} wants ", line.split(' ').next().unwrap());
            assert!(read(&[line]).unwrap_err().starts_with(&wanted), "{line}");
        }
        for (line, name) in
            [("", ""), ("Port 5050", "Port"), ("color red", "color"), ("port=5", "port=5"), ("wire obe", "wire")]
        {
            assert!(read(&[line]).unwrap_err().starts_with(&format!("unknown setting '{name}'")), "{line}");
        }
    }
}
