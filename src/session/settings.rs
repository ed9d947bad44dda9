//! The settings of a session file: `#!NAME VALUE` lines before the first message.

use super::error::Reason;
use crate::framing::Wire;
use crate::text::{is_white, shown, trim};

/// One entry of a setting that may be given several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its line number, for an error in its text.
    pub number: u64,
    /// Its text as it stands, without white space at its ends.
    pub text: Vec<u8>,
}

/// What the settings of a session file say. Texts are kept unread: the flags of the same names read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The port of the side that accepted, 1 to 65535; the last one given.
    pub port: Option<u16>,
    /// The protocol; the last one given.
    pub wire: Option<Wire>,
    /// Parameters that are not compared.
    pub ignore: Vec<Listed>,
    /// Patterns of messages that are not compared.
    pub exclude: Vec<Listed>,
    /// Patterns of messages that may come anywhere in their block.
    pub any_order: Vec<Listed>,
    /// Whether unexpected messages count as differences.
    pub exact: bool,
}

impl Settings {
    /// Takes in the `#!` line of this number; `text` is what stands behind the mark.
    pub(super) fn add(&mut self, number: u64, text: &[u8]) -> Result<(), Reason> {
        let text = trim(text);
        let (name, value) = text.split_at(text.iter().position(|&b| is_white(b)).unwrap_or(text.len()));
        let value = trim(value);
        let listed = |name, wants| match value {
            b"" => Err(Reason::Setting { name, wants }),
            _ => Ok(Listed { number, text: value.to_vec() }),
        };
        match name {
            b"port" => self.port = Some(port(value)?),
            b"wire" => {
                let wire = Wire::named(value).ok_or(Reason::Setting { name: "wire", wants: "bcp or obe" })?;
                self.wire = Some(wire);
            }
            b"ignore" => self.ignore.push(listed("ignore", "NAME or COMMAND.NAME")?),
            b"exclude" => self.exclude.push(listed("exclude", "a pattern")?),
            b"any-order" => self.any_order.push(listed("any-order", "a pattern")?),
            b"exact" if value.is_empty() => self.exact = true,
            b"exact" => return Err(Reason::Setting { name: "exact", wants: "no value" }),
            _ => return Err(Reason::UnknownSetting { name: shown(name) }),
        }
        Ok(())
    }
}

fn port(value: &[u8]) -> Result<u16, Reason> {
    let digits = value.iter().all(u8::is_ascii_digit).then_some(value);
    let port = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    port.filter(|&port| port != 0).ok_or(Reason::Setting { name: "port", wants: "a number from 1 to 65535" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Settings, Reason> {
        let mut settings = Settings::default();
        for (line, number) in lines.iter().zip(2..) {
            settings.add(number, line.as_bytes())?;
        }
        Ok(settings)
    }

    #[test]
    fn lists_grow_and_other_settings_are_replaced() {
        let lines = [
            "port 5050",
            " port\t 5051 ",
            "ignore a",
            "ignore x.b",
            "exclude m?n=a b",
            "any-order v",
            "exact",
            "wire obe",
        ];
        let listed = |number, text: &str| Listed { number, text: text.as_bytes().to_vec() };
        let expected = Settings {
            port: Some(5051),
            wire: Some(Wire::Obe),
            ignore: vec![listed(4, "a"), listed(5, "x.b")],
            exclude: vec![listed(6, "m?n=a b")],
            any_order: vec![listed(7, "v")],
            exact: true,
        };
        assert_eq!(read(&lines), Ok(expected));
        assert_eq!(read(&["wire obe", "wire bcp"]).unwrap().wire, Some(Wire::Bcp));
    }

    #[test]
    fn a_wrong_value_says_what_is_wanted() {
        for port in ["port", "port 0", "port 65536", "port +1", "port x", "port 1 2"] {
            assert!(matches!(read(&[port]), Err(Reason::Setting { name: "port", .. })), "{port}");
        }
        for (line, name) in [
            ("wire", "wire"),
            ("wire BCP", "wire"),
            ("exact yes", "exact"),
            ("ignore", "ignore"),
            ("exclude ", "exclude"),
            ("any-order", "any-order"),
        ] {
            assert!(matches!(read(&[line]), Err(Reason::Setting { name: n, .. }) if n == name), "{line}");
        }
        for (line, name) in [("", ""), ("Port 5050", "Port"), ("colour red", "colour"), ("port=5", "port=5")] {
            assert_eq!(read(&[line]), Err(Reason::UnknownSetting { name: name.to_owned() }), "{line}");
        }
    }
}
