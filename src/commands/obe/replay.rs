//! `replay --wire obe`: asks a server of OBE_Socket again what was asked in a recording, and compares its replies
//! (design.md, section 11).
//!
//! The messages go one after the other, each when its time has come and the one before it is settled.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::client::Client;
use super::survey::Survey;
use super::tape::{Question, Tape, framing};
use crate::check::{Entry, Failed, Junit, Recorded, Reply, Suite, Text, Way, compare_values};
use crate::commands::dial::Target;
use crate::commands::ending::catch_signals;
use crate::commands::replay::clock::{Clock, instant};
use crate::commands::replay::recording::count;
use crate::commands::replay::replaying::{recorder, result_file};
use crate::commands::replay::tally::Tally;
use crate::commands::replay::updating::{Outdated, no_session};
use crate::commands::replay::{COMMAND, Options};
use crate::commands::result_file::ResultFile;
use crate::commands::shared::{OBE_LIMITS, refuse_with_obe};
use crate::commands::traffic::Traffic;
use crate::exit::{Exit, Failure, plain_words};
use crate::framing::Wire;
use crate::net::dialogue::{Ended, Reason};
use crate::net::wait::{Output, Poll, wake_precisely};
use crate::output::show::{Show, Style};
use crate::output::stdout_is_terminal;
use crate::session::RecordKind;
use crate::text::{safe, shown};

/// Refuses what is BCP's alone.
///
/// # Errors
/// [`Failure::Usage`].
pub fn check(options: &Options, file: &Path) -> Result<(), Failure> {
    refuse_with_obe(&[
        (options.loopback, "--loopback plays to a media controller; backbox listen --wire obe is a server"),
        (options.serve || options.announce.is_some(), "--serve is dialled once, and OBE_Socket dials for each message"),
        (options.limits.limits_lines(), OBE_LIMITS),
        (options.from.is_some(), "--from is about BCP's sessions and logs"),
        (
            options.check.chooses(),
            "--ignore, --exclude, --any-order and --exact choose among BCP's messages, and a reply of OBE_Socket is \
             compared whole",
        ),
    ])?;
    match file.as_os_str() == "-" && !options.dry_run {
        true => Err(Failure::Usage("a session is read twice, and standard input cannot be; write it to a file".into())),
        false => Ok(()),
    }
}

/// Asks what was recorded, prints the replies or what differs in them, and sums up.
///
/// # Errors
/// A file that cannot be played, an address that cannot be reached, a time that passed, a stdout that cannot be
/// written.
pub fn run(options: &Options, file: &Path) -> Result<Exit, Failure> {
    let (wall, began) = (SystemTime::now(), Instant::now());
    let mut console = options.manners.console(COMMAND.about.name);
    let name = safe(file.as_os_str().as_encoded_bytes());
    let base = file.file_name().map_or_else(|| name.clone(), |base| shown(base.as_encoded_bytes()));
    let survey = Survey::of(file, options.connection, &name, &console)?;
    if options.check.update && !survey.is_session {
        return Err(no_session(&name));
    }
    let checks = options.check.is_on();
    let outdated = || Outdated::new(file, &name, framing(), RecordKind::Server, false);
    let outdated = options.check.update.then(outdated).transpose()?;
    let stats = result_file(options, &options.stats, file, ("--stats", "the statistics"))?;
    let junit = result_file(options, &options.check.junit, file, ("--junit", "the report"))?;
    let target = Target::resolve(options.dialling.address.as_deref().or(Some("127.0.0.1")), survey.port)?;
    let opening = format!("dialling {}", target.address);
    let recorder = recorder(options, file, Wire::Obe, (&opening, target.address.port))?;
    let stop = catch_signals()?;
    let output = Output::stdout().map_err(|error| Failure::output(&error))?;
    let size = format!("{}, {} with a reply", count(survey.messages, "message"), survey.replies);
    console.note(format_args!("asking {} what {base} asks ({size})", target.address));
    let mut client = Client::new(&target, options.dialling.retry, &stop, &output, &mut console);
    client.traffic = Traffic::new(options.verbose.0);
    client.recorder = recorder;
    if !checks {
        let show = Show::new(Style::Line, Vec::new(), Vec::new());
        client.show = Some(show.for_stdout(options.manners.color, false));
    }
    wake_precisely();
    let passes = options.passes.unwrap_or(1);
    let time = Some(options.timeout).filter(|time| !time.is_zero());
    let mut run = Run {
        options,
        awaits_all: survey.replies == 0,
        text: Text { file: &name, colored: options.manners.color.is_on(stdout_is_terminal()) },
        deadline: time.and_then(|time| began.checked_add(time)),
        tally: Tally::new(Some(survey.messages.saturating_mul(passes))),
        compared: 0,
        differences: 0,
        failed: Vec::new(),
        outdated,
        reached: 0,
        client,
    };
    let end = run.passes(file, passes);
    if let Some(junit) = junit {
        let (since_1970, took) = (wall.duration_since(UNIX_EPOCH).unwrap_or_default(), began.elapsed());
        junit.write(run.junit(file, &Suite { began: since_1970, took })?.as_bytes())?;
    }
    run.finish(end, &base, stats.as_ref())
}

/// Why a run ended in order.
enum End {
    /// All is asked.
    Done,
    /// `--fail-fast` has found a difference.
    First,
    /// The stop came.
    Stopped,
    /// Nobody reads stdout any more.
    ReaderGone,
}

/// A run and what has come of it so far.
struct Run<'a> {
    options: &'a Options,
    /// Whether no reply is recorded at all, so that each is waited for.
    awaits_all: bool,
    text: Text<'a>,
    deadline: Option<Instant>,
    tally: Tally,
    compared: u64,
    differences: u64,
    /// What differed; kept for `--junit` and `--update` alone.
    failed: Vec<Entry>,
    /// The file, if it is to say what came.
    outdated: Option<Outdated>,
    /// The line of the last message whose reply was compared.
    reached: u64,
    client: Client<'a>,
}

impl Run<'_> {
    /// Says what came of it, to a person and in the file of `--stats`; how the run ends.
    fn finish(mut self, end: Result<End, Failure>, file: &str, stats: Option<&ResultFile>) -> Result<Exit, Failure> {
        let how = match &end {
            Ok(End::Done) => "done",
            Ok(End::First) => "ended at the first difference",
            Ok(End::Stopped) => "stopped by a signal",
            Ok(End::ReaderGone) => "nobody reads the output any more",
            Err(Failure::Time(_)) => "the time was up",
            Err(_) => "an error ended it",
        };
        let checks = self.options.check.is_on();
        self.tally.differences = checks.then_some(self.differences);
        if self.tally.passes > 0 {
            self.client.console.note(self.tally.summary(file, &self.client.target.address.to_string(), how));
        }
        let written = stats.map_or(Ok(()), |stats| stats.write(self.tally.json(file, how).as_bytes()));
        if let Err(failure) = written {
            self.client.console.survive(&failure);
        }
        match end? {
            End::Stopped => Ok(self.client.stop.signal().map_or(Exit::Done, Exit::Signal)),
            End::Done if checks && self.compared == 0 => {
                Err(Failure::Refused(format!("{file}: nothing was compared: no reply is recorded in it")))
            }
            end => {
                let exit = match &self.outdated {
                    Some(outdated) => outdated.update(&self.failed, matches!(end, End::Done), self.client.console)?,
                    None if self.differences > 0 => Exit::No,
                    None => Exit::Done,
                };
                Ok(self.client.console.worst().worse(exit))
            }
        }
    }

    /// The report for CI systems: the file is gone through again, so that only differences had to be kept.
    fn junit(&self, file: &Path, suite: &Suite) -> Result<String, Failure> {
        let failed = Failed::of(&self.failed);
        let (mut tape, mut junit) = (Tape::open(file, self.options.connection)?, Junit::new(self.text.file));
        while let Some(question) = tape.next()? {
            let Some(recorded) = question.reply else { continue };
            let verdict = failed.verdict(recorded.number, question.number <= self.reached);
            junit.case(Some(recorded.number), &recorded.line, verdict);
        }
        Ok(junit.finish(suite))
    }

    /// Plays it as often as asked, on one clock.
    fn passes(&mut self, file: &Path, passes: u64) -> Result<End, Failure> {
        let mut clock = Clock::new(self.options.tempo);
        let start = Instant::now();
        for _ in 0..passes {
            let mut tape = Tape::open(file, self.options.connection)?;
            while let Some(question) = tape.next()? {
                let due = clock.line(question.time).map(|due| instant(start, due));
                clock.passes(question.replied);
                if let Some(end) = self.wait(due)? {
                    return Ok(end);
                }
                if let Some(end) = self.ask(&question, due)? {
                    return Ok(end);
                }
            }
            clock.again();
        }
        Ok(End::Done)
    }

    /// Waits until a message is due; what ends the run meanwhile, if something does.
    fn wait(&mut self, due: Option<Instant>) -> Result<Option<End>, Failure> {
        loop {
            let now = Instant::now();
            if self.is_late() {
                return Err(self.late("the last message was sent"));
            }
            let mut poll = Poll::default();
            let (stopped, gone) = (poll.stop(self.client.stop), poll.output(self.client.output, false));
            let until = [due, self.deadline].into_iter().flatten().min();
            let waited = poll.wait(Some(until.filter(|_| due.is_some()).unwrap_or(now).max(now)));
            waited.map_err(|error| Failure::io("cannot wait for the next message", &error))?;
            if poll.ready(stopped).read {
                return Ok(Some(End::Stopped));
            }
            if poll.ready(gone).gone {
                return Ok(Some(End::ReaderGone));
            }
            if due.is_none_or(|due| Instant::now() >= due) {
                return Ok(None);
            }
        }
    }

    /// Whether the time of `-W` is up.
    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn late(&self, what: &str) -> Failure {
        let seconds = self.options.timeout.as_secs_f64();
        Failure::Time(format!("{}: {seconds} s passed before {what}; -W allows more", self.client.target.address))
    }

    /// Asks one thing; what ends the run, if something does.
    fn ask(&mut self, question: &Question, due: Option<Instant>) -> Result<Option<End>, Failure> {
        let patience = self.options.check.reply_timeout();
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.client.waits = question.reply.is_some() || self.awaits_all;
        let within = |time: Duration| left.map_or(time, |left| left.min(time));
        self.client.time = Some(within(patience));
        self.client.retry = within(self.options.dialling.retry);
        let ended = match self.client.ask(&question.text) {
            Ok(Some(ended)) => ended,
            Ok(None) => return Ok(Some(End::Stopped)),
            // It was dialled for as long as there was time, and not for as long as was allowed.
            Err(_) if left.is_some_and(|left| left < self.options.dialling.retry) => {
                return Err(self.late("the last message was sent"));
            }
            Err(failure) => return Err(failure),
        };
        self.tally.connected();
        self.tally.sends(question.text.len());
        if let Some((due, sent)) = due.zip(self.client.sent) {
            self.tally.left(sent.saturating_duration_since(due));
        }
        if let Some(reply) = &self.client.reply {
            self.tally.hears(reply.len());
        }
        match &ended.reason {
            Reason::Stopped(_) => return Ok(Some(End::Stopped)),
            Reason::Poll(error) => return Err(Failure::io("cannot wait for the reply", error)),
            Reason::Output(error) => {
                return match Failure::output(error) {
                    Failure::ReaderGone => Ok(Some(End::ReaderGone)),
                    failure => Err(failure),
                };
            }
            Reason::Lost(error) if ended.unsent > 0 => {
                return Err(Failure::io(format_args!("lost the connection to {}", self.client.target.address), error));
            }
            Reason::TimeUp if self.is_late() => {
                return Err(self.late("the last reply came"));
            }
            _ => {}
        }
        self.judge(question, &ended, patience)
    }

    /// Compares the reply, or says that there was none.
    fn judge(&mut self, question: &Question, ended: &Ended, patience: Duration) -> Result<Option<End>, Failure> {
        let recorded = match &question.reply {
            Some(recorded) => recorded,
            None if !self.awaits_all => return Ok(None),
            None => &Recorded { number: question.number, line: Vec::new(), payload: Vec::new(), is_pattern: false },
        };
        let reply = match (&self.client.reply, &ended.reason) {
            (Some(line), _) => Reply::Came(line),
            (None, Reason::TimeUp) => Reply::Silence(patience),
            (None, Reason::Lost(_)) => Reply::Gone(Way::Reset),
            (None, _) => Reply::Gone(Way::Closed),
        };
        if !self.options.check.is_on() || self.awaits_all {
            let why = match (reply, &ended.reason) {
                (Reply::Came(_), _) => return Ok(None),
                (Reply::Silence(_), _) => format!("no reply within {} s", patience.as_secs_f64()),
                (Reply::Gone(_), Reason::Lost(error)) => format!("no reply: {}", plain_words(error)),
                // A frame that was none has been told of.
                (Reply::Gone(_), _) if self.client.settled => return Ok(None),
                (Reply::Gone(_), _) => "no reply: it closed the connection".to_owned(),
            };
            let place = format!("{}:{}", self.text.file, recorded.number);
            self.client.console.complain(Exit::No, place, why);
            return Ok(None);
        }
        (self.compared, self.reached) = (self.compared + 1, question.number);
        let entry = compare_values(recorded, reply)
            .map_err(|why| Failure::Refused(format!("{}:{}: {why}", self.text.file, recorded.number)))?;
        let Some(entry) = entry else { return Ok(None) };
        self.differences += 1;
        let mut text = String::new();
        self.text.write(&entry, &mut text);
        if self.options.check.junit.is_some() || self.options.check.update {
            self.failed.push(entry);
        }
        match self.client.output.write_all(text.as_bytes()).map_err(|error| Failure::output(&error)) {
            Err(Failure::ReaderGone) => Ok(Some(End::ReaderGone)),
            Err(failure) => Err(failure),
            Ok(()) => Ok(self.options.check.fail_fast.then_some(End::First)),
        }
    }
}
