//! A value as plain data: built only where one has to be kept, turned around or compared (sorting, patterns, checks).
//!
//! Streams never come here; they stay text (`codec::Parts`).

/// A JSON value. Numbers are their digits, so none is rounded; objects keep their order and what they hold twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, BCP's `NoneType:`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is spelled.
    Number(String),
    /// A string, as it is meant.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object's members in their order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Sorts the members of all objects by the code points of their names; members of one name keep their order.
    pub fn sort_names(&mut self) {
        match self {
            Value::List(items) => items.iter_mut().for_each(Value::sort_names),
            Value::Object(members) => {
                members.iter_mut().for_each(|(_, value)| value.sort_names());
                // UTF-8 sorts as the code points do.
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            _ => {}
        }
    }

    /// Whether two values mean the same (design.md, sections 7 and 11): type and value, integers of any length by
    /// their digits, floats as doubles, NaN equal to NaN, objects in any order, of a member given twice the last one.
    ///
    /// ```
    /// use backbox::message::Value;
    /// let number = |digits: &str| Value::Number(digits.into());
    /// assert!(number("-0").means(&number("0")));
    /// assert!(number("1.50").means(&number("15e-1")));
    /// assert!(!number("1").means(&number("1.0")));
    /// ```
    pub fn means(&self, other: &Value) -> bool {
        self.is_same(other, same_number)
    }

    /// Whether two values are equal as Python would say of them: as [`Value::means`], but 1 is 1.0. OBE_Socket's
    /// messages have no types besides JSON's (design.md, section 11).
    ///
    /// ```
    /// use backbox::message::Value;
    /// let number = |digits: &str| Value::Number(digits.into());
    /// assert!(number("1").equals(&number("1.0")));
    /// assert!(!number("9007199254740993").equals(&number("9007199254740992.0")));
    /// ```
    pub fn equals(&self, other: &Value) -> bool {
        self.is_same(other, |a, b| same_number(a, b) || same_integer(a, b) || same_integer(b, a))
    }

    fn is_same(&self, other: &Value, numbers: fn(&str, &str) -> bool) -> bool {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => numbers(a, b),
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b, numbers))
            }
            (Value::Object(a), Value::Object(b)) => same_members(a, b, numbers),
            (a, b) => a == b,
        }
    }
}

/// Whether a float is exactly this integer.
fn same_integer(integer: &str, float: &str) -> bool {
    let exact = float.parse::<f64>().ok().filter(|value| value.fract() == 0.0).map(|value| format!("{value:.0}"));
    is_integer(integer) && !is_integer(float) && exact.is_some_and(|exact| same_number(integer, &exact))
}

fn same_number(a: &str, b: &str) -> bool {
    match (is_integer(a), is_integer(b)) {
        (true, true) => a == b || (a.trim_start_matches('-') == "0" && b.trim_start_matches('-') == "0"),
        (false, false) => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a == b || (a.is_nan() && b.is_nan()),
            _ => a == b,
        },
        _ => false,
    }
}

fn is_integer(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

fn same_members(a: &[(String, Value)], b: &[(String, Value)], numbers: fn(&str, &str) -> bool) -> bool {
    // Looked up by name, so that 60,000 members cost as little as the text they stand in; a later member replaces an
    // earlier one of its name.
    let index = |members: &[(String, Value)]| -> std::collections::HashMap<String, usize> {
        members.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect()
    };
    let (first, second) = (index(a), index(b));
    first.len() == second.len()
        && first.iter().all(|(name, &at)| {
            let other = second.get(name).and_then(|&at| b.get(at));
            matches!((a.get(at), other), (Some((_, a)), Some((_, b))) if a.is_same(b, numbers))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> Value {
        Value::Number(digits.to_string())
    }

    #[test]
    fn numbers_are_compared_by_value_and_type() {
        for (a, b, same) in [
            ("5", "5", true),
            ("0", "-0", true),
            ("5", "-5", false),
            ("NaN", "NaN", true),
            ("Infinity", "1e400", true),
            ("Infinity", "-Infinity", false),
            ("0.0", "-0.0", true),
            ("1e5", "100000.0", true),
            ("1e5", "100000", false),
            ("123456789012345678901234567890", "123456789012345678901234567891", false),
        ] {
            assert_eq!(number(a).means(&number(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn objects_are_compared_by_name_and_the_last_of_two() {
        let member = |name: &str, digits: &str| (name.to_string(), number(digits));
        let twice = Value::Object(vec![member("a", "1"), member("b", "3"), member("a", "2")]);
        let once = Value::Object(vec![member("b", "3"), member("a", "2")]);
        assert!(twice.means(&once));
        assert!(!twice.means(&Value::Object(vec![member("a", "2")])));
        assert!(!once.means(&Value::List(vec![])));
    }
}
