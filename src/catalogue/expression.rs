//! How Python reads an expression: what MPF's placeholder parser takes (design.md, section 13).
//!
//! Brackets, quotes, stray characters and the order of values and operators are looked at, which is less than a parser
//! and refuses nothing that Python compiles. Whether the names in it mean anything is MPF's to answer.

/// How many brackets may be open at once in an expression of Python's.
const BRACKETS_MAX: usize = 200;

/// The words that stand before a value, or between two.
const WORD_OPERATORS: [&str; 12] =
    ["and", "async", "await", "else", "for", "from", "if", "in", "is", "lambda", "not", "or"];

const NO_RIGHT_VALUE: &str = "has an operator without a value behind it";
const NO_LEFT_VALUE: &str = "has an operator without a value before it";
const NO_OPERATOR: &str = "has two values with nothing between them";

/// What keeps Python from compiling text as an expression, as a phrase behind its name; `None` when nothing that can be
/// seen without a compiler.
pub fn expression_fault(text: &str) -> Option<&'static str> {
    let start = text.trim_start_matches(['\n', '\r']);
    if start.starts_with([' ', '\t']) {
        return Some("begins with a blank");
    }
    if text.contains('\0') {
        return Some("holds NUL");
    }
    let mut expression = Expression {
        rest: start,
        open: Vec::new(),
        last: Last::Opening,
        keyword: false,
        has_lambda: false,
        is_empty: true,
    };
    expression.run().err().or_else(|| {
        let unclosed = (!expression.open.is_empty()).then_some("has a bracket that does not close");
        let unfinished = (expression.last == Last::Operator).then_some(NO_RIGHT_VALUE);
        unclosed.or(expression.is_empty.then_some("is empty")).or(unfinished)
    })
}

/// Whether a name may hold it; what Python makes of letters beyond ASCII is not looked into.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// The bracket that closes another.
fn closing(bracket: char) -> char {
    match bracket {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// What the last token was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The start, or an opening bracket.
    Opening,
    /// Something that needs a value behind it.
    Operator,
    /// A name, a number or a closing bracket.
    Value,
    /// A string, which may stand beside another.
    Text,
    /// A comma, behind which anything may stand.
    Comma,
    /// Something else behind which anything may stand: a colon, `...`, `yield`, what is not understood.
    Other,
}

/// An open bracket.
struct Bracket {
    closing: char,
    /// Whether it holds the arguments of a call, which may have keywords: `f(a=1)`.
    is_call: bool,
    /// Whether a keyword has gone by, behind which every argument has one or is starred.
    has_keyword: bool,
    /// Whether the argument that is being read has one or is starred.
    is_named: bool,
}

/// A walk along an expression.
struct Expression<'t> {
    rest: &'t str,
    /// The open brackets, innermost last.
    open: Vec<Bracket>,
    last: Last,
    /// Whether the last token is a word that begins an argument, and may be a keyword.
    keyword: bool,
    /// Whether a `lambda` has gone by, whose parameters may have defaults: `lambda a=1: a`.
    has_lambda: bool,
    is_empty: bool,
}

impl Expression<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        while let Some(c) = self.take() {
            match c {
                ' ' | '\t' | '\x0c' => continue,
                '#' => self.rest = self.rest.find(['\n', '\r']).and_then(|at| self.rest.get(at..)).unwrap_or_default(),
                '\n' | '\r' => self.line_break()?,
                '\\' if ["\r\n", "\n", "\r"].iter().any(|end| self.take_if(end)) => continue,
                _ => {
                    self.is_empty = false;
                    self.token(c)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let c = letters.next()?;
        self.rest = letters.as_str();
        Some(c)
    }

    fn take_if(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A line break ends an expression unless a bracket is open.
    fn line_break(&mut self) -> Result<(), &'static str> {
        let rest = self.rest.trim_start();
        if self.is_empty || !self.open.is_empty() || rest.is_empty() || rest.starts_with(['#', '\\']) {
            return Ok(());
        }
        Err("goes on behind a line break")
    }

    fn token(&mut self, c: char) -> Result<(), &'static str> {
        match c {
            '"' | '\'' => self.text(c),
            '0'..='9' => self.number(c),
            '.' if self.rest.starts_with(|c: char| c.is_ascii_digit()) => self.number(c),
            c if is_word(c) => self.word(c),
            ',' if matches!(self.last, Last::Opening | Last::Comma) => Err("has a comma without a value before it"),
            // (`lambda *, a: a` has one behind a star.)
            ',' if self.last == Last::Operator && !self.has_lambda => Err(NO_RIGHT_VALUE),
            ',' | ')' if self.is_out_of_turn() => Err("has an argument without a keyword behind one that has it"),
            '(' | '[' | '{' if self.open.len() >= BRACKETS_MAX => Err("has too many open brackets"),
            '(' | '[' | '{' => {
                let is_call = c == '(' && matches!(self.last, Last::Value | Last::Text | Last::Other);
                self.open.push(Bracket { closing: closing(c), is_call, has_keyword: false, is_named: false });
                self.set(Last::Opening)
            }
            ')' | ']' | '}' if self.open.pop().is_none_or(|open| open.closing != c) => {
                Err("has a bracket that closes nothing")
            }
            ')' | ']' | '}' if self.last == Last::Operator => Err(NO_RIGHT_VALUE),
            ')' | ']' | '}' => self.set(Last::Value),
            ':' if self.open.is_empty() && self.rest.starts_with('=') => Err("holds a lone ="),
            ':' => {
                self.take_if("=");
                self.set(Last::Other)
            }
            ',' => {
                if let Some(open) = self.open.last_mut() {
                    open.is_named = false;
                }
                self.set(Last::Comma)
            }
            '=' if !self.take_if("=") => self.lone_equals(),
            '!' if !self.take_if("=") => Err("holds a lone !"),
            '.' if self.take_if("..") => self.set(Last::Other),
            // A sign may stand before a value and a star before several.
            '+' | '-' | '~' | '.' => self.set(Last::Operator),
            '*' => {
                let is_double = self.take_if("*");
                if matches!(self.last, Last::Opening | Last::Comma) {
                    self.name_argument(is_double);
                }
                self.set(Last::Operator)
            }
            '<' | '>' => {
                let _ = self.take_if("=") || self.take_if(c.encode_utf8(&mut [0; 4]));
                self.between()
            }
            '/' => {
                self.take_if("/");
                self.between()
            }
            '=' | '!' | '%' | '@' | '&' | '|' | '^' => self.between(),
            '\\' => Err("holds a backslash outside quotes"),
            ';' => Err("holds a ;"),
            '$' | '?' | '`' => Err("holds a character that Python does not know"),
            _ => self.set(Last::Other),
        }
    }

    fn set(&mut self, last: Last) -> Result<(), &'static str> {
        self.last = last;
        self.keyword = false;
        Ok(())
    }

    /// The argument that is being read has a keyword, or a star or two before it.
    fn name_argument(&mut self, is_keyword: bool) {
        if let Some(open) = self.open.last_mut() {
            open.is_named = true;
            open.has_keyword |= is_keyword;
        }
    }

    /// Whether the argument that ends here stands behind a keyword and has none: `f(a=1, b)`. What the commas of a
    /// `lambda` divide is not looked into.
    fn is_out_of_turn(&self) -> bool {
        let is_some = !matches!(self.last, Last::Opening | Last::Comma);
        let after = |open: &Bracket| open.is_call && open.has_keyword && !open.is_named;
        is_some && !self.has_lambda && self.open.last().is_some_and(after)
    }

    /// The `=` of a keyword argument or of a parameter's default; no other stands in an expression.
    fn lone_equals(&mut self) -> Result<(), &'static str> {
        let is_argument = self.keyword && self.open.last().is_some_and(|open| open.is_call);
        if is_argument {
            self.name_argument(true);
        }
        match is_argument || (self.has_lambda && self.last == Last::Value) {
            true => self.set(Last::Operator),
            false => Err("holds a lone ="),
        }
    }

    /// An operator that has a value on either side. (`lambda a, /: a` has one behind a comma.)
    fn between(&mut self) -> Result<(), &'static str> {
        match self.last {
            Last::Opening | Last::Operator => Err(NO_LEFT_VALUE),
            Last::Value | Last::Text | Last::Comma | Last::Other => self.set(Last::Operator),
        }
    }

    fn value(&mut self) -> Result<(), &'static str> {
        match self.last {
            Last::Value | Last::Text => Err(NO_OPERATOR),
            Last::Opening | Last::Operator | Last::Comma | Last::Other => self.set(Last::Value),
        }
    }

    /// The rest of a name or a word of Python's that begins with this letter.
    fn word(&mut self, first: char) -> Result<(), &'static str> {
        let rest = self.rest;
        self.skip_word();
        let word = first.to_string() + rest.strip_suffix(self.rest).unwrap_or_default();
        match word.as_str() {
            "and" | "or" => self.between(),
            word if WORD_OPERATORS.contains(&word) => {
                self.has_lambda |= word == "lambda";
                self.set(Last::Operator)
            }
            "yield" => self.set(Last::Other),
            // Python 3.12 lets the braces of `f"{a["b"]}"` hold what older ones do not: nothing behind is judged.
            "f" | "F" | "fr" | "fR" | "Fr" | "FR" | "rf" | "rF" | "Rf" | "RF"
                if self.rest.starts_with(['"', '\'']) && self.rest.contains('{') =>
            {
                self.rest = "";
                self.open.clear();
                self.set(Last::Other)
            }
            // The prefix of a string: `b"…"`.
            _ if self.rest.starts_with(['"', '\'']) => Ok(()),
            _ => {
                let begins = matches!(self.last, Last::Opening | Last::Comma);
                self.value()?;
                self.keyword = begins && !["True", "False", "None"].contains(&word.as_str());
                Ok(())
            }
        }
    }

    fn skip_word(&mut self) {
        self.rest = self.rest.trim_start_matches(is_word);
    }

    /// The rest of a number. What clings to it is a part of it (`0xff`, `1e5`, `2j`), or the next word (`1if a`).
    fn number(&mut self, first: char) -> Result<(), &'static str> {
        self.value()?;
        let is_digit = |c: char| c.is_ascii_digit() || c == '_';
        self.rest = self.rest.trim_start_matches(is_digit);
        // A second point is no part of it: `1.5. real`.
        if first != '.' && self.take_if(".") {
            self.rest = self.rest.trim_start_matches(is_digit);
        }
        let rest = self.rest;
        self.skip_word();
        match rest.strip_suffix(self.rest).unwrap_or_default() {
            "" => Ok(()),
            word if WORD_OPERATORS.contains(&word) => {
                self.rest = rest;
                Ok(())
            }
            _ => self.set(Last::Other),
        }
    }

    fn text(&mut self, quote: char) -> Result<(), &'static str> {
        self.quoted(quote)?;
        match self.last {
            Last::Value => Err(NO_OPERATOR),
            _ => self.set(Last::Text),
        }
    }

    /// A string, up to its closing quote or quotes.
    fn quoted(&mut self, quote: char) -> Result<(), &'static str> {
        let three: String = [quote; 3].iter().collect();
        let triple = self.take_if(&three[1..]);
        if !triple && self.take_if(&three[2..]) {
            return Ok(());
        }
        loop {
            match self.take() {
                None => break,
                Some('\\') => drop(self.take()),
                Some('\n' | '\r') if !triple => break,
                Some(c) if c == quote && (!triple || self.take_if(&three[1..])) => return Ok(()),
                Some(_) => {}
            }
        }
        Err("has a quote that does not close")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged_by_what_can_be_seen() {
        for text in [
            "foo",
            "players[0].score",
            "\"a;b=c\"",
            "{1:2}",
            "1 if 1 else 2",
            "a==1 and b>=2 or c!=3 or d<=4",
            "(x:=1)",
            "f(\n1\n)",
            "'it\\'s'",
            "'''a\n'b'''",
            "\"\"",
            "1 # done; (",
            "1\n\n",
            "a \\\n+ b",
            "lambda:1",
            "lambda a, /, *b: a",
            "lambda *, a: a",
            "-1 + ~2 ** -3",
            "a not in b and a is not None",
            "1if a else 2",
            "1.5e-3 + .5 + 2. + 0xff + 1_000j",
            "1..real",
            "1.5. real",
            ".5. real",
            "1 # done\r",
            "# first\ra",
            "1\n\\\n# done",
            "a \\\r+ b",
            "a \\\r\n+ b",
            "f'a' r\"b\" 'c'",
            "(f'{a['b']}')",
            "not'a'in'abc'",
            "(*a, b)",
            "f(*a, **b)",
            "f(a=1)",
            "f(1, a=b[c](d = not 2), **e)",
            "f(a=(1, 2), *b, c=d(3, e=4),)",
            "f(*a, 1)",
            "f(a=lambda x, y: x)",
            "lambda a=1, *, b=2: a",
            "f(lambda a=1: a)",
            "0xff(a=1)",
            "a[1:, ::2, ...]",
            "(yield)",
            "[x for x in y if x]",
            "a<<2>>1<=3",
        ] {
            assert_eq!(expression_fault(text), None, "{text:?}");
        }
        for (text, fault) in [
            ("", "is empty"),
            ("# nothing", "is empty"),
            ("\n", "is empty"),
            (" 1", "begins with a blank"),
            ("\n\t1", "begins with a blank"),
            ("a\0b", "holds NUL"),
            ("foo(", "has a bracket that does not close"),
            ("foo)", "has a bracket that closes nothing"),
            ("(]", "has a bracket that closes nothing"),
            ("'a", "has a quote that does not close"),
            ("'a\nb'", "has a quote that does not close"),
            ("x=1", "holds a lone ="),
            ("f(x.y=1)", "holds a lone ="),
            ("f(a=1=2)", "holds a lone ="),
            ("f((a=1))", "holds a lone ="),
            ("(a=1)", "holds a lone ="),
            ("f[a=1]", "holds a lone ="),
            ("f(a=)", NO_RIGHT_VALUE),
            ("f(None=1)", "holds a lone ="),
            ("f(a,, b)", "has a comma without a value before it"),
            ("(, a)", "has a comma without a value before it"),
            ("f(a=, b)", NO_RIGHT_VALUE),
            ("f(a=1, b)", "has an argument without a keyword behind one that has it"),
            ("f(a=1, b.c, d=2)", "has an argument without a keyword behind one that has it"),
            ("f(**a, b)", "has an argument without a keyword behind one that has it"),
            ("x===1", "holds a lone ="),
            ("x:=1", "holds a lone ="),
            ("1;2", "holds a ;"),
            ("!a", "holds a lone !"),
            ("$a", "holds a character that Python does not know"),
            ("a\\b", "holds a backslash outside quotes"),
            ("1\n2", "goes on behind a line break"),
            ("1+", NO_RIGHT_VALUE),
            ("a.", NO_RIGHT_VALUE),
            ("(a or)", NO_RIGHT_VALUE),
            ("not", NO_RIGHT_VALUE),
            ("a if b else", NO_RIGHT_VALUE),
            ("/2", NO_LEFT_VALUE),
            ("(% 2)", NO_LEFT_VALUE),
            ("a + / b", NO_LEFT_VALUE),
            ("a <> b", NO_LEFT_VALUE),
            ("and b", NO_LEFT_VALUE),
            ("a b", NO_OPERATOR),
            ("f(1) g", NO_OPERATOR),
            ("a 5", NO_OPERATOR),
            ("a 'b'", NO_OPERATOR),
            ("'a' b", NO_OPERATOR),
        ] {
            assert_eq!(expression_fault(text), Some(fault), "{text:?}");
        }
        let nested = |count| "(".repeat(count) + "1" + &")".repeat(count);
        assert_eq!(expression_fault(&nested(BRACKETS_MAX)), None);
        assert_eq!(expression_fault(&nested(BRACKETS_MAX + 1)), Some("has too many open brackets"));
    }
}
