//! `--check` and the flags about it, as `replay` is told, and as the settings of a session file tell it (design.md,
//! sections 11 and 12).

use std::path::PathBuf;
use std::time::Duration;

use crate::check::Rules;
use crate::cli::{Complete, Flag, text};
use crate::commands::result_file::to_write;
use crate::exit::Failure;
use crate::session::{Listed, Settings};
use crate::text::shown;
use crate::time;

/// How long what was recorded of the other side is waited for unless `--reply-timeout` says otherwise.
const REPLY_TIME: Duration = Duration::from_secs(5);

/// What is to be compared, and what becomes of the differences, as given.
#[derive(Debug, Default)]
pub struct CheckOptions {
    check: bool,
    /// `--update`.
    pub update: bool,
    ignore: Vec<String>,
    exclude: Vec<String>,
    any_order: Vec<String>,
    exact: bool,
    /// `--fail-fast`.
    pub fail_fast: bool,
    reply_timeout: Option<Duration>,
    /// `--junit`.
    pub junit: Option<PathBuf>,
}

impl CheckOptions {
    /// Whether there is something to compare.
    pub fn is_on(&self) -> bool {
        self.check || self.update
    }

    /// Whether a line that was not recorded is a difference.
    pub fn is_exact(&self, settings: &Settings) -> bool {
        self.exact || (self.is_on() && settings.exact)
    }

    /// Whether it is chosen what is compared.
    pub fn chooses(&self) -> bool {
        self.exact || [&self.ignore, &self.exclude, &self.any_order].iter().any(|list| !list.is_empty())
    }

    /// How long an answer is waited for after it was due.
    pub fn reply_timeout(&self) -> Duration {
        self.reply_timeout.unwrap_or(REPLY_TIME)
    }

    /// What is compared: what the flags say and what the file of this name does.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a flag, [`Failure::Refused`] for a setting of the file, that is none.
    pub fn rules(&self, settings: &Settings, file: &str) -> Result<Rules, Failure> {
        type Add = fn(&mut Rules, &str) -> Result<(), String>;
        let exclude: Add = |rules, text| rules.exclude(text).map_err(|why| why.to_string());
        let any_order: Add = |rules, text| rules.any_order(text).map_err(|why| why.to_string());
        let mut rules = Rules::default();
        for (flag, add, given, listed) in [
            ("ignore", Rules::ignore as Add, &self.ignore, &settings.ignore),
            ("exclude", exclude, &self.exclude, &settings.exclude),
            ("any-order", any_order, &self.any_order, &settings.any_order),
        ] {
            for text in given {
                let wrong = |why| Failure::Usage(format!("--{flag} {}: {why}", shown(text.as_bytes())));
                add(&mut rules, text).map_err(wrong)?;
            }
            for Listed { number, text } in listed {
                let wrong = |why: String| Failure::Refused(format!("{file}:{number}: setting {flag}: {why}"));
                let text = std::str::from_utf8(text).map_err(|_| wrong("it is no UTF-8".to_owned()))?;
                add(&mut rules, text).map_err(wrong)?;
            }
        }
        Ok(rules)
    }

    /// Why these flags make no sense together, or beside these other ones.
    pub fn senseless(&self, serve: bool, passes: bool, stdin: bool) -> Option<&'static str> {
        let about = self.chooses() || self.fail_fast || self.junit.is_some();
        let rules = [
            (
                about && !self.is_on(),
                "--ignore, --exclude, --any-order, --exact, --fail-fast and --junit are about what is compared: \
                 they go with --check or --update",
            ),
            (
                self.reply_timeout.is_some() && !self.is_on() && !serve,
                "--reply-timeout is how long the other side is waited for: it goes with --check, --update or --serve",
            ),
            (
                self.is_on() && passes,
                "--repeat plays to a peer again, and a check wants a fresh one: leave out --repeat",
            ),
            (
                self.update && stdin,
                "--update changes the session file, and standard input is none: write it to a file and name that",
            ),
            (
                (self.is_on() || serve) && stdin,
                "--check and --serve look through the recording first, and standard input can be read once: write it \
                 to a file and name that",
            ),
            (
                self.update && self.fail_fast,
                "--update wants all differences, and --fail-fast ends with the first: leave out --fail-fast",
            ),
        ];
        rules.iter().find(|(offends, _)| *offends).map(|(_, why)| *why)
    }
}

impl<T: AsMut<CheckOptions> + 'static> Flag<T> {
    /// `--check`.
    pub const CHECK: Flag<T> =
        Flag::switch("check", "Compare what comes with the recording", |o: &mut T| o.as_mut().check = true).more(
            "The recorded answers between two lines of ours are a block. Our next line leaves when its time has come \
             and the block before it is settled: all of it has come in its order; or its last answer flatten, and nothing \
             more for 100 ms and the longest wait recorded in the block; or `--reply-timeout` has passed. Standard \
             output carries the differences only: what was recorded and where, what came instead, and parameter by \
             parameter what differs. Any makes the exit status 1, and so does a recording with nothing to compare.",
        ).group("Check").common();
    /// `--ignore`.
    pub const IGNORE: Flag<T> = Flag::value("ignore", "NAME", "Leave this parameter out", |o: &mut T, value| {
        o.as_mut().ignore.push(text(value)?);
        Ok(())
    })
    .more("`COMMAND.NAME` is of messages with this command only; it is split at the first dot.")
    .repeats()
    .group("Check");
    /// `--exclude`.
    pub const NOT_COMPARED: Flag<T> =
        Flag::value("exclude", "PATTERN", "Do not compare messages that match", |o: &mut T, value| {
            o.as_mut().exclude.push(text(value)?);
            Ok(())
        })
        .more("Neither those that were recorded nor those that come.")
        .repeats()
        .group("Check");
    /// `--any-order`.
    pub const ANY_ORDER: Flag<T> =
        Flag::value("any-order", "PATTERN", "Let messages that match come in any order", |o: &mut T, value| {
            o.as_mut().any_order.push(text(value)?);
            Ok(())
        })
        .more("Anywhere in their block, that is.")
        .repeats()
        .group("Check");
    /// `--exact`.
    pub const EXACT: Flag<T> =
        Flag::switch("exact", "Count messages that were not recorded too", |o: &mut T| o.as_mut().exact = true)
            .more("They are let pass otherwise.")
            .group("Check");
    /// `--reply-timeout`.
    pub const REPLY_TIMEOUT: Flag<T> =
        Flag::value("reply-timeout", "TIME", "Wait at most so long", |o: &mut T, value| {
            o.as_mut().reply_timeout = Some(time::parse_duration(&text(value)?)?);
            Ok(())
        })
        .more(
            "From when it was due as recorded, whatever the speed; 5 s unless given. With `--serve` it is how long \
             what the dialler said is waited for.",
        )
        .group("Check");
    /// `--fail-fast`.
    pub const FAIL_FAST_CHECK: Flag<T> =
        Flag::switch("fail-fast", "End with the first difference", |o: &mut T| o.as_mut().fail_fast = true)
            .more("The first of the first block that has one; nothing more is sent.")
            .group("Check");
    /// `--update`.
    pub const UPDATE: Flag<T> = Flag::switch("update", "Check, and have the file say what came", |o: &mut T| {
        o.as_mut().update = true
    })
    .more(
        "Only the answers that differ are rewritten; all else stays as it is, to the byte. An answer that did not \
             come is removed, one that was not recorded is added with `--exact` only. Patterns (`#~`) are never \
             touched: one that is not met is left, and the exit status is 1. Nothing is changed when the check did \
             not come to its end, or when somebody else has changed the file meanwhile.",
    )
    .group("Check");
    /// `--junit`.
    pub const JUNIT: Flag<T> = Flag::value("junit", "FILE", "Write a report for CI systems", |o: &mut T, value| {
        o.as_mut().junit = Some(to_write(value)?);
        Ok(())
    })
    .more(
        "JUnit's XML with a test case for each recorded answer. It is written at the end, beside *FILE*, and renamed.",
    )
    .complete(Complete::File)
    .group("Check");
}
