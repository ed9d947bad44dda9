//! Tests of the clock of logs, and of one line for each log format.

use super::*;

fn at(date: Option<[u32; 3]>, hour: u32, minute: u32) -> When {
    When { date, time: Some([hour, minute, 0, 5]), step: None }
}

fn minutes(clock: &mut Clock, date: Option<[u32; 3]>, hour: u32, minute: u32) -> u64 {
    let seen = clock.see(&at(date, hour, minute)).unwrap().unwrap();
    clock.message(seen).as_secs() / 60
}

#[test]
fn without_a_date_a_step_back_over_twelve_hours_is_midnight() {
    let mut clock = Clock::default();
    let mut minutes = |hour, minute| minutes(&mut clock, None, hour, minute);
    assert_eq!([minutes(23, 58), minutes(23, 59), minutes(0, 1), minutes(11, 0)], [0, 1, 3, 662]);
    // Eleven hours back: the clock was changed.
    assert_eq!([minutes(0, 0), minutes(11, 1), minutes(23, 0), minutes(1, 0)], [662, 663, 1382, 1502]);
}

#[test]
fn with_a_date_nothing_is_guessed() {
    let mut clock = Clock::default();
    let mut minutes = |day, hour, minute| minutes(&mut clock, Some([2026, 11, day]), hour, minute);
    assert_eq!([minutes(20, 23, 58), minutes(20, 1, 0), minutes(21, 0, 1), minutes(23, 0, 1)], [0, 0, 3, 2883]);
}

#[test]
fn invalid_times_are_distinguished_from_missing_times() {
    let mut clock = Clock::default();
    assert_eq!(clock.see(&When::default()), Some(None));
    for time in [[24, 0, 0, 0], [0, 60, 0, 0], [0, 0, 60, 0]] {
        assert_eq!(clock.see(&When { time: Some(time), ..When::default() }), None);
    }
    assert_eq!(clock.see(&at(Some([2026, 2, 29]), 0, 0)), None);
}

#[test]
fn steps_add_up_from_the_first_message() {
    let mut clock = Clock::default();
    let mut see = |step| clock.see(&When { step: Some(step), ..When::default() }).unwrap().unwrap();
    let seen = [see(9), see(0), see(999)];
    assert_eq!(seen.map(|seen| clock.message(seen).as_millis()), [0, 0, 999]);
}
