//! The members of one JSON object as they are written: for the guard, which reads as MPF does.

use super::json::{JsonError, Room, Scanner};
use super::spelled::Params;

type Members = Vec<(String, Vec<u8>)>;

/// The names and values of a JSON object, each value as canonical JSON; `None` for any other JSON value. Names are
/// neither trimmed nor folded, and equal ones are all there.
pub(crate) fn object_members(text: &[u8]) -> Result<Option<Members>, JsonError> {
    let mut scanner = Scanner::new(text, true, Room::default());
    scanner.skip_space();
    let json = scanner.value(0)?.to_vec();
    scanner.end()?;
    let members = || Params::of(&json).map(|p| (p.name().into_owned(), p.value.0.to_vec())).collect();
    Ok(json.starts_with(b"{").then(members))
}
