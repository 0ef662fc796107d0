//! The counts of a day as they lie on disk: numbers in as few bytes as they need.
//!
//! A tally is its kinds, each as two numbers (status, direction and whether erased; one more than the reason, 0 without)
//! and the four numbers of its sum. A sketch is pairs of a slot, as its distance from the one before, and a count.
//! Hours and sketches are several of these in a row, each with its number and its length in front.

use std::collections::BTreeMap;

use pegcount_calls::{Direction, Disconnection, Status};

use super::{
    codes::Code,
    fault::{Result, unreadable},
};
use crate::{
    Measure,
    rollups::{Day, Group, HOURS, Kind, Sketches, Sum, Tally},
    sketch::Counts,
};

/// More than any code of a status.
const STATUSES: i64 = 16;
/// What is added for calls that were erased.
const ERASED: i64 = 2 * STATUSES;

/// The parts of a day as bytes: its sums and its hours.
pub(super) fn pack_day(day: &Day) -> [Vec<u8>; 2] {
    let hours = day.hours.iter().map(|(hour, sums)| (*hour, pack_tally(sums)));
    [pack_tally(&day.sums), pack_parts(hours)]
}

/// What the parts of a day hold.
pub(super) fn unpack_day([sums, hours]: [&[u8]; 2]) -> Result<Day> {
    let mut day = Day::default();
    unpack_tally(sums, &mut day.sums)?;
    unpack_hours(hours, |hour, sums| unpack_tally(sums, day.hours.entry(hour).or_default()))?;
    Ok(day)
}

/// Gives each hour of a day that has calls, and the bytes of its tally.
pub(super) fn unpack_hours(bytes: &[u8], mut take: impl FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
    unpack_parts(bytes, |hour, sums| match hour {
        0..HOURS => take(hour, sums),
        _ => Err(damaged("there is no such hour")),
    })
}

/// The sketches of a bucket as bytes.
pub(super) fn pack_sketches(sketches: &Sketches) -> Vec<u8> {
    pack_parts(sketches.groups.iter().map(|(group, counts)| {
        let Group { measure, status, direction } = *group;
        ((measure.code() * STATUSES + status.code()) * 2 + direction.code(), pack_counts(counts))
    }))
}

/// What the sketches of a bucket hold.
pub(super) fn unpack_sketches(bytes: &[u8]) -> Result<Sketches> {
    let mut sketches = Sketches::default();
    unpack_groups(bytes, |group, counts| unpack_counts(counts, sketches.groups.entry(group).or_default()))?;
    Ok(sketches)
}

/// Gives each group of values of a bucket, and the bytes of its sketch.
pub(super) fn unpack_groups(bytes: &[u8], mut take: impl FnMut(Group, &[u8]) -> Result<()>) -> Result<()> {
    unpack_parts(bytes, |code, counts| {
        let stands = code.div_euclid(2);
        let group = Group {
            measure: Measure::read(stands.div_euclid(STATUSES))?,
            status: Status::read(stands.rem_euclid(STATUSES))?,
            direction: Direction::read(code.rem_euclid(2))?,
        };
        take(group, counts)
    })
}

/// The values of a call's measures as bytes.
pub(super) fn pack_values(values: &BTreeMap<Measure, Counts>) -> Vec<u8> {
    pack_parts(values.iter().map(|(measure, counts)| (measure.code(), pack_counts(counts))))
}

/// Adds the values that the bytes of a call's measures hold.
pub(super) fn unpack_values(bytes: &[u8], into: &mut BTreeMap<Measure, Counts>) -> Result<()> {
    unpack_parts(bytes, |code, counts| unpack_counts(counts, into.entry(Measure::read(code)?).or_default()))
}

/// Parts, each as its number, its length and its bytes.
fn pack_parts(parts: impl Iterator<Item = (i64, Vec<u8>)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, part) in parts {
        push(&mut bytes, number.into());
        push(&mut bytes, part.len() as i128);
        bytes.extend(part);
    }
    bytes
}

fn unpack_parts(bytes: &[u8], mut take: impl FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
    let mut numbers = Numbers { bytes };
    while !numbers.bytes.is_empty() {
        let number = i64::try_from(numbers.next()?).map_err(damaged)?;
        let length = usize::try_from(numbers.next()?).map_err(damaged)?;
        let parts = numbers.bytes.split_at_checked(length);
        let (part, rest) = parts.ok_or_else(|| damaged("it is cut short"))?;
        take(number, part)?;
        numbers.bytes = rest;
    }
    Ok(())
}

/// A tally as bytes.
fn pack_tally(tally: &Tally) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tally.sums().len() * 16);
    for (kind, sum) in tally.sums() {
        let stands = kind.status.code() * 2 + kind.direction.code();
        push(&mut bytes, (stands + if kind.erased { ERASED } else { 0 }).into());
        push(&mut bytes, kind.disconnection.map_or(0, |reason| reason.code() + 1).into());
        for number in [sum.calls, sum.answered, sum.talk_seconds, sum.cost_nanos] {
            push(&mut bytes, number);
        }
    }
    bytes
}

/// Adds what the bytes of a tally hold to another.
pub(super) fn unpack_tally(bytes: &[u8], into: &mut Tally) -> Result<()> {
    let mut numbers = Numbers { bytes };
    let mut place = 0;
    while !numbers.bytes.is_empty() {
        let kind = numbers.kind()?;
        let sum = Sum {
            calls: numbers.next()?,
            answered: numbers.next()?,
            talk_seconds: numbers.next()?,
            cost_nanos: numbers.next()?,
        };
        place = into.add_near(place, kind, &sum);
    }
    Ok(())
}

/// A sketch as bytes.
fn pack_counts(counts: &Counts) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut last = 0;
    for (slot, count) in counts.slots() {
        push(&mut bytes, (slot - last).into());
        push(&mut bytes, count.into());
        last = slot;
    }
    bytes
}

/// Adds what the bytes of a sketch hold to another.
pub(super) fn unpack_counts(bytes: &[u8], into: &mut Counts) -> Result<()> {
    let mut numbers = Numbers { bytes };
    let mut slot = 0_i128;
    while !numbers.bytes.is_empty() {
        slot = slot.saturating_add(numbers.next()?);
        let count = numbers.next()?;
        into.add(u16::try_from(slot).map_err(damaged)?, i64::try_from(count).map_err(damaged)?);
    }
    Ok(())
}

fn damaged(cause: impl Into<crate::BoxError>) -> super::fault::Fault {
    unreadable("a count kept beside the calls", cause)
}

/// Seven bits to a byte, least first; the sign goes to the lowest bit, so that small numbers either way are short.
fn push(bytes: &mut Vec<u8>, number: i128) {
    let mut rest = ((number << 1) ^ (number >> 127)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

struct Numbers<'a> {
    bytes: &'a [u8],
}

impl Numbers<'_> {
    fn next(&mut self) -> Result<i128> {
        // Nearly every number is short.
        if let [byte @ 0..0x80, rest @ ..] = self.bytes {
            self.bytes = rest;
            return Ok((i64::from(byte >> 1) ^ -i64::from(byte & 1)).into());
        }
        if let [low, high @ 0..0x80, rest @ ..] = self.bytes {
            self.bytes = rest;
            let number = i64::from(low & 0x7f) | i64::from(*high) << 7;
            return Ok(((number >> 1) ^ -(number & 1)).into());
        }
        // Nearly all others fit 63 bits: money is nine bytes at most.
        if let Some(length) = self.bytes.iter().take(9).position(|byte| byte & 0x80 == 0) {
            let (number, rest) = self.bytes.split_at(length + 1);
            self.bytes = rest;
            let number = number.iter().rev().fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
            return Ok(((number >> 1).cast_signed() ^ -(number & 1).cast_signed()).into());
        }
        let mut number = 0_u128;
        for shift in (0..u128::BITS).step_by(7) {
            let Some((byte, rest)) = self.bytes.split_first() else { break };
            self.bytes = rest;
            number |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(damaged("it is cut short"))
    }

    fn kind(&mut self) -> Result<Kind> {
        let code = |number: i128| i64::try_from(number).map_err(damaged);
        let stands = code(self.next()?)?;
        let reason = code(self.next()?)?;
        let erased = stands >= ERASED;
        let stands = if erased { stands - ERASED } else { stands };
        Ok(Kind {
            erased,
            status: Status::read(stands.div_euclid(2))?,
            direction: Direction::read(stands.rem_euclid(2))?,
            disconnection: if reason == 0 { None } else { Some(Disconnection::read(reason - 1)?) },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_numbers_are_short_and_damage_is_told() {
        let mut bytes = Vec::new();
        for number in [0, -1, 1, 63, -64] {
            push(&mut bytes, number);
        }
        assert_eq!(bytes, [0, 1, 2, 126, 127]);
        for bytes in [&[8, 0][..], &[8, 0, 2, 0, 0, 0x80], &[100, 0, 0, 0, 0, 0], &[8, 50, 0, 0, 0, 0]] {
            assert!(unpack_tally(bytes, &mut Tally::default()).is_err(), "{bytes:?}");
        }
        assert!(unpack_counts(&[1], &mut Counts::default()).is_err());
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(numbers: Vec<i128>, small: Vec<i8>) {
            let mut bytes = Vec::new();
            let all: Vec<i128> = numbers.into_iter().chain(small.into_iter().map(Into::into)).collect();
            for number in &all {
                push(&mut bytes, *number);
            }
            let mut read = Numbers { bytes: &bytes };
            for number in all {
                prop_assert_eq!(read.next().unwrap(), number);
            }
            prop_assert!(read.bytes.is_empty());
        }

        #[test]
        fn no_bytes_whatever_do_worse_than_being_unreadable(bytes: Vec<u8>) {
            let mut tally = Tally::default();
            if unpack_tally(&bytes, &mut tally).is_ok() {
                let mut again = Tally::default();
                unpack_tally(&pack_tally(&tally), &mut again).unwrap();
                prop_assert_eq!(again, tally);
            }
            let _ = unpack_counts(&bytes, &mut Counts::default());
            if let Ok(day) = unpack_day([&bytes; 2]) {
                let packed = pack_day(&day);
                prop_assert_eq!(unpack_day(packed.each_ref().map(Vec::as_slice)).unwrap(), day);
            }
            if let Ok(sketches) = unpack_sketches(&bytes) {
                prop_assert_eq!(unpack_sketches(&pack_sketches(&sketches)).unwrap(), sketches);
            }
            let mut values = BTreeMap::new();
            if unpack_values(&bytes, &mut values).is_ok() {
                let mut again = BTreeMap::new();
                unpack_values(&pack_values(&values), &mut again).unwrap();
                prop_assert_eq!(again, values);
            }
        }
    }
}
