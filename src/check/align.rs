//! Which line is which answer: the alignment of a block that did not come as recorded (design.md, section 11).

/// The largest product of answers and lines whose longest common subsequence is sought: a table of 4 MB, a blink.
const PRODUCT_MAX: usize = 4_000_000;

/// Finds for each of `answers` the line that it is, so that the lines stand in the order of the answers: equal ends
/// trimmed, then the longest common subsequence while the product is at most [`PRODUCT_MAX`], beyond that each answer
/// in order takes the first equal line behind the last one taken. Of equally long subsequences it is the one that
/// leaves out the earlier answers, so that of two swapped the first recorded is the one out of order.
///
/// `find` gives the first line from a place on that is an answer.
pub(super) fn align(
    answers: usize,
    lines: usize,
    same: impl Fn(usize, usize) -> bool,
    find: impl Fn(usize, usize) -> Option<usize>,
) -> Vec<Option<usize>> {
    let mut found = vec![None; answers];
    let shorter = answers.min(lines);
    let head = (0..shorter).take_while(|&at| same(at, at)).count();
    let tail = (0..shorter - head).take_while(|&at| same(answers - 1 - at, lines - 1 - at)).count();
    let mut set = |answer: usize, line: usize| {
        if let Some(place) = found.get_mut(answer) {
            *place = Some(line);
        }
    };
    (0..head).for_each(|at| set(at, at));
    (0..tail).for_each(|at| set(answers - 1 - at, lines - 1 - at));
    let (rows, columns) = (answers - head - tail, lines - head - tail);
    let same = |row: usize, column: usize| same(head + row, head + column);
    let set = |row: usize, column: usize| set(head + row, head + column);
    if rows.saturating_mul(columns) <= PRODUCT_MAX {
        longest(rows, columns, same, set);
    } else {
        first(rows, columns, |row, column| find(head + row, head + column)?.checked_sub(head), set);
    }
    found
}

fn longest(rows: usize, columns: usize, same: impl Fn(usize, usize) -> bool, mut set: impl FnMut(usize, usize)) {
    // For each cell whether leaving out its line costs nothing; the lengths themselves are kept for two rows only.
    let mut spare_line = vec![false; rows * columns];
    let mut above = vec![0u32; columns + 1];
    let mut here = vec![0u32; columns + 1];
    for (row, spare) in spare_line.chunks_mut(columns.max(1)).enumerate() {
        for (column, spare) in spare.iter_mut().enumerate() {
            let (without_line, without_answer) = (here[column], above[column + 1]);
            here[column + 1] = if same(row, column) { above[column] + 1 } else { without_line.max(without_answer) };
            *spare = here[column + 1] == without_line;
        }
        std::mem::swap(&mut above, &mut here);
    }
    let (mut row, mut column) = (rows, columns);
    while row > 0 && column > 0 {
        if same(row - 1, column - 1) {
            row -= 1;
            column -= 1;
            set(row, column);
        } else if spare_line[(row - 1) * columns + column - 1] {
            column -= 1;
        } else {
            row -= 1;
        }
    }
}

fn first(rows: usize, columns: usize, find: impl Fn(usize, usize) -> Option<usize>, mut set: impl FnMut(usize, usize)) {
    let mut next = 0;
    for row in 0..rows {
        if let Some(column) = find(row, next).filter(|&column| column < columns) {
            set(row, column);
            next = column + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned<T: PartialEq>(a: &[T], b: &[T]) -> Vec<Option<usize>> {
        let find = |answer: usize, from: usize| (from..b.len()).find(|&line| a[answer] == b[line]);
        align(a.len(), b.len(), |answer, line| a[answer] == b[line], find)
    }

    #[track_caller]
    fn check(answers: &str, lines: &str, expected: &str) {
        let (a, b) = (answers.as_bytes(), lines.as_bytes());
        let found = aligned(a, b);
        let shown: String = found.iter().map(|line| line.map_or("-".to_owned(), |line| line.to_string())).collect();
        assert_eq!(shown, expected, "{answers} {lines}");
    }

    #[test]
    fn what_is_left_out() {
        check("", "", "");
        check("abc", "", "---");
        check("", "abc", "");
        check("abc", "abc", "012");
        check("abc", "ac", "0-1");
        check("abc", "xaybzc", "135");
        check("abc", "bc", "-01");
        check("abc", "ab", "01-");
    }

    #[test]
    fn of_two_swapped_the_first_recorded_is_left_out() {
        check("abc", "bac", "-02");
        check("abc", "acb", "0-1");
        check("abc", "bca", "-01");
        check("abcd", "badc", "-0-2");
        check("abc", "cba", "--0");
    }

    #[test]
    fn repeated_lines_keep_the_ends() {
        check("sas", "ss", "0-1");
        check("sas", "as", "-01");
        check("ab", "bb", "-1");
        check("ba", "bb", "0-");
    }

    #[test]
    fn a_longer_subsequence_is_never_given_up() {
        // Against the definition: the longest of all subsequences, tried one by one.
        for seed in 0..2000u32 {
            let word = |shift: u32| -> Vec<u8> {
                let letters = (0..5).map(|at| (seed.wrapping_mul(2_654_435_761).rotate_left(shift + 7 * at) % 3) as u8);
                letters.take((seed.rotate_left(shift) % 6) as usize).collect()
            };
            let (a, b) = (word(3), word(11));
            let found = aligned(&a, &b);
            let lines: Vec<usize> = found.iter().flatten().copied().collect();
            assert!(lines.is_sorted_by(|a, b| a < b), "{a:?} {b:?} {found:?}");
            assert!(found.iter().zip(&a).all(|(line, a)| line.is_none_or(|line| b[line] == *a)));
            let longest = (0..1u32 << a.len())
                .filter(|kept| {
                    let mut rest = b.iter();
                    (0..a.len()).filter(|at| kept & (1 << at) != 0).all(|at| rest.any(|line| *line == a[at]))
                })
                .map(u32::count_ones)
                .max();
            assert_eq!(longest, Some(lines.len() as u32), "{a:?} {b:?} {found:?}");
        }
    }

    #[test]
    fn beyond_the_product_each_takes_the_first_behind_the_last() {
        let lines: Vec<usize> = (0..3000).map(|at| if at == 0 { 2999 } else { at }).chain([0, 0]).collect();
        let found = aligned(&(0..3000).collect::<Vec<_>>(), &lines);
        // The first answer takes a line at the very end, and the others find nothing behind it.
        assert_eq!(found.iter().flatten().count(), 1);
        let found = aligned(&(0..3000).collect::<Vec<_>>(), &(1..3000).collect::<Vec<_>>());
        assert_eq!(found.iter().flatten().count(), 2999);
    }
}
