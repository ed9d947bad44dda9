//! Messages of the Backbox Control Protocol: between lines and JSON.
//!
//! A [`Message`] holds a command and parameters as canonical JSON text. It is read from a line
//! ([`Message::parse_line`]), from a line of JSON Lines ([`Message::parse_json`]) or built from parameters
//! ([`Message::begin`]), and is written as a canonical line ([`write_line`]) or as JSON ([`Message::write_json`]).
//! A [`pattern::Pattern`] matches messages, a [`template::Template`] prints them, and a
//! [`conversation::Conversation`] decides what to reply.
//!
//! Nothing here does I/O or reads a clock. Where a line ends and which payload follows it is the task of
//! [`framing`](crate::framing).
//!
//! ```
//! use backbox::bcp::{Message, ParseOptions, WriteOptions, write_line};
//! let mut message = Message::new();
//! message.parse_line(b"Trigger?Name=multiball&count=int:5", &ParseOptions::default()).unwrap();
//! let mut json = Vec::new();
//! message.write_json(None, &mut json);
//! assert_eq!(json, br#"{"command":"trigger","params":{"name":"multiball","count":5}}"#);
//! let mut line = Vec::new();
//! write_line(&message, None, &WriteOptions::default(), &mut line).unwrap();
//! assert_eq!(line, b"trigger?name=multiball&count=int:5");
//! ```

pub mod conversation;
mod error;
mod json;
mod line;
mod message;
mod number;
mod parse;
pub mod pattern;
pub mod template;
mod value;
mod write;

pub use error::{JsonError, JsonFault, Malformed, MalformedReason};
pub(crate) use json::push_string;
pub use line::{Marker, escape, line_command, payload_marker, unescape};
pub use message::{DuplicatePolicy, Message, ParseOptions};
pub(crate) use message::{canonical_name, push_base64};
pub(crate) use number::{push_float, push_integer};
pub use parse::typed_text;
pub(crate) use parse::{canonical_json, check_json, object_members};
pub use template::Side;
pub use value::{JsonValue, Param, ValueKind};
pub use write::{WriteOptions, is_command, push_ascii_json, push_spaced_json, write_line};
