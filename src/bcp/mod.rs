//! Pure functions between one line and its parts, and between the parts and JSON (design.md, sections 1, 4 and 5).
//!
//! Everything meets in [`Message`]: a message as the JSON text of section 4, with the places of its parts. A line from
//! the wire is respelled into it in one pass ([`Message::parse_line`]), a line of JSON Lines too ([`Message::parse_json`]),
//! and from it come the canonical line ([`write_line`]) and the JSON ([`Message::write_json`]). Nothing here opens a
//! file, reads a clock, keeps a line, or knows where a line came from: finding its end and its payload is framing's
//! business.
//!
//! ```
//! use backbox::bcp::{WriteOptions, Message, ParseOptions, write_line};
//! let mut parts = Message::new();
//! parts.parse_line(b"Trigger?Name=multiball&count=int:5", &ParseOptions::default()).unwrap();
//! let mut json = Vec::new();
//! parts.write_json(None, &mut json);
//! assert_eq!(json, br#"{"command":"trigger","params":{"name":"multiball","count":5}}"#);
//! let mut line = Vec::new();
//! write_line(&parts, None, &WriteOptions::default(), &mut line).unwrap();
//! assert_eq!(line, b"trigger?name=multiball&count=int:5");
//! ```

pub mod conversation;
mod eight;
mod encode;
mod error;
mod escape;
mod json;
mod jsonl;
mod line;

mod lookup;
mod marker;
mod names;
mod number;
mod obe;
mod object;
mod parts;
pub mod pattern;
mod pen;
mod spell;
mod spelled;
pub mod template;
mod tree;
mod usual;
mod value;

pub use encode::{WriteOptions, is_command, write_line};
pub use error::{Malformed, MalformedReason};
pub use escape::{escape, unescape};
pub use json::{JsonError, JsonFault};
pub use line::typed_text;
pub use marker::{Marker, line_command, payload_marker};
pub use number::json_number;
pub(crate) use number::{push_float, push_integer};
pub use obe::push_spaced_json;
pub(crate) use object::object_members;
pub use parts::{DuplicatePolicy, Message, ParseOptions};
pub use spell::push_ascii_json;
pub use spelled::{JsonValue, Param, Params, ValueKind};
pub use template::Side;
pub use value::Value;
