//! The limits, each a named constant with its unit and its reason.

/// The longest BCP line in bytes without its LF, unless `--max-line` says otherwise.
/// MPF reads 65,536; the rest is for peers that send whole tables in one `json=`.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// The largest payload in bytes, unless `--max-payload` says otherwise: a 4K RGB frame fits, a made-up length does not.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// The longest body of a frame of OBE_Socket in bytes: a long measurement fits, a made-up length does not. There is no
/// flag for it: the reference class itself has no limit but ten digits, and no user is known to come near this one.
pub const OBE_BODY_BYTES_MAX: usize = 64 << 20;

/// The longest frame in bytes that does not count against what the peers of a server share: the longest line that MPF
/// reads.
pub const LONG_FRAME_BYTES: usize = 64 << 10;

/// How many bytes the frames over [`LONG_FRAME_BYTES`] of all peers of `listen` may have at once, or one payload as
/// large as `--max-payload` allows: 16 of the largest payloads fit, a thousand peers' lines of 1 MiB do not.
pub const LONG_FRAMES_BYTES_MAX: usize = 256 << 20;

/// How many peers `listen` serves at once: more than any game has, and few enough for the 65,535 ports and the file
/// descriptors of one machine.
pub const CONNECTIONS_MAX: usize = 4096;

/// How deep JSON may nest, the parameters' object being level 1: deep enough for any game, shallow enough for any
/// stack.
pub const JSON_LEVELS_MAX: usize = 128;

/// The longest line of JSON Lines in bytes: each byte of a line may be written as `\uXXXX`, and a payload is base64.
pub const fn json_line_bytes_max(line: usize, payload: usize) -> usize {
    line.saturating_mul(6).saturating_add(payload.saturating_mul(3) / 2)
}

/// How many bytes a filter reads at a time: a pipe holds as many, and larger reads measured no faster.
pub const READ_BYTES: usize = 64 << 10;

/// How many bytes a filter collects at most before it writes, although more of its read is left: a template can print a
/// thousand bytes for each byte read. JSON never comes near it.
pub const WRITE_BYTES: usize = 8 * READ_BYTES;

/// How many names are compared one by one. More are looked up by hash, because comparing 60,000 names pairwise takes
/// seconds.
pub const NAMES_COMPARED_MAX: usize = 16;

/// How much of an offending text an error message shows, in characters.
pub const SHOWN_CHARS_MAX: usize = 60;
