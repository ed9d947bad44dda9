//! A look through a whole recording of OBE_Socket before anybody is dialled (design.md, section 11).

use std::path::Path;

use super::tape::{Question, Tape, nothing};
use crate::bcp::Message;
use crate::check::value_pattern;
use crate::commands::dial::OBE_PORT;
use crate::commands::replay::recording::tell;
use crate::exit::Failure;
use crate::framing::Wire;
use crate::output::Console;
use crate::session::Settings;

/// What a look through a whole file has found.
pub struct Survey {
    /// How many messages there are.
    pub messages: u64,
    /// How many of them have a reply.
    pub replies: u64,
    /// Whether it is a session file, and not JSON Lines.
    pub is_session: bool,
    /// The server's, which the session names or is the usual one.
    pub port: u16,
}

impl Survey {
    /// Looks through a file, so that what is wrong with it is known before anybody is dialled; of one connection's
    /// messages, if one is given.
    ///
    /// # Errors
    /// It cannot be read, is no session, or holds nothing to play or what would be passed over.
    pub fn of(file: &Path, connection: Option<u32>, name: &str, console: &Console) -> Result<Survey, Failure> {
        let mut tape = Tape::open(file, connection)?;
        let (mut messages, mut replies, mut parts) = (0u64, 0u64, Message::new());
        while let Some(question) = tape.next()? {
            refuse_text(&question, tape.settings(), &mut parts, name)?;
            messages += 1;
            replies += u64::from(question.reply.is_some());
            if let Some(recorded) = question.reply.filter(|recorded| recorded.is_pattern) {
                let wrong = |why| Failure::Refused(format!("{name}:{}: {why}", recorded.number));
                value_pattern(&recorded).map_err(wrong)?;
            }
        }
        tell(name, tape.take_note(), console);
        refuse_settings(tape.settings(), name)?;
        match (messages, connection) {
            (0, Some(only)) => Err(Failure::Refused(format!("{name}: it holds no message of connection {only}"))),
            (0, None) => Err(nothing(name)),
            (messages, _) => Ok(Survey {
                messages,
                replies,
                is_session: tape.is_session(),
                port: tape.settings().port.unwrap_or(OBE_PORT),
            }),
        }
    }
}

/// Refuses what would be sent and is no JSON, which ends the reference server, unless the file says that it is a
/// session of OBE_Socket's: there it was recorded.
fn refuse_text(question: &Question, settings: &Settings, parts: &mut Message, file: &str) -> Result<(), Failure> {
    match parts.read_value(&question.text, true) {
        Err(why) if settings.wire != Some(Wire::Obe) => {
            Err(Failure::Refused(format!("{file}:{}: {why}", question.number)))
        }
        _ => Ok(()),
    }
}

/// Refuses settings of a file that would be passed over.
fn refuse_settings(settings: &Settings, file: &str) -> Result<(), Failure> {
    let lists = [("ignore", &settings.ignore), ("exclude", &settings.exclude), ("any-order", &settings.any_order)];
    match lists.iter().find_map(|(name, list)| list.first().map(|listed| (name, listed.number))) {
        Some((name, number)) => {
            let why =
                format!("{file}:{number}: #!{name} is about BCP's messages; a reply of OBE_Socket is compared whole");
            Err(Failure::Refused(why))
        }
        None if settings.exact => {
            Err(Failure::Refused(format!("{file}: #!exact is about BCP's messages, and a message has one reply")))
        }
        None => Ok(()),
    }
}
