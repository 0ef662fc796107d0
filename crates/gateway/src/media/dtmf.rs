//! Keys pressed, as events in RTP (RFC 4733).

/// How far a time stamp may lie behind and still be a late packet of an event that is over: 5 s at 8 kHz.
const LATE_TICKS: u32 = 40_000;
/// An event whose end was lost is over when nothing was heard of it for so long.
const FORGOTTEN_NANOS: u64 = 500_000_000;

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Press {
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub(super) digit: char,
    pub(super) duration_ms: u32,
}

/// Hears the keys of one stream. Each is told once, when it is let go, however often its packets come.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    current: Option<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    digit: char,
    clock_rate: u32,
    /// Of its first packet: all packets of an event have the same (RFC 4733, 2.1).
    timestamp: u32,
    /// Of earlier segments of an event that is longer than its field (RFC 4733, 2.5.1.3).
    earlier: u32,
    duration: u32,
    told: bool,
    heard_nanos: u64,
}

impl Event {
    fn told(&mut self) -> Option<Press> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let ticks = u64::from(self.earlier.saturating_add(self.duration));
        let duration_ms = ticks * 1000 / u64::from(self.clock_rate.max(1));
        Some(Press { digit: self.digit, duration_ms: u32::try_from(duration_ms).unwrap_or(u32::MAX) })
    }
}

impl Keys {
    /// Takes a packet in. What it tells is the key before, if its end was lost, and the packet's own, if it ends it.
    pub(super) fn packet(
        &mut self,
        timestamp: u32,
        payload: &[u8],
        clock_rate: u32,
        now_nanos: u64,
    ) -> [Option<Press>; 2] {
        let Some((digit, ended, duration)) = parse(payload) else {
            return [None; 2];
        };
        let (before, earlier) = match &mut self.current {
            Some(event) if event.timestamp == timestamp => {
                event.duration = event.duration.max(duration);
                event.heard_nanos = now_nanos;
                return [None, if ended { event.told() } else { None }];
            }
            Some(event) if (1..LATE_TICKS).contains(&event.timestamp.wrapping_sub(timestamp)) => {
                return [None; 2];
            }
            Some(event)
                if !event.told
                    && event.digit == digit
                    && event.timestamp.wrapping_add(event.duration) == timestamp =>
            {
                (None, event.earlier.saturating_add(event.duration))
            }
            Some(event) => (event.told(), 0),
            None => (None, 0),
        };
        let mut event =
            Event { digit, clock_rate, timestamp, earlier, duration, told: false, heard_nanos: now_nanos };
        let own = if ended { event.told() } else { None };
        self.current = Some(event);
        [before, own]
    }

    /// The key whose end was lost, when nothing has been heard of it for a while.
    pub(super) fn idle(&mut self, now_nanos: u64) -> Option<Press> {
        let event = self.current.as_mut()?;
        let forgotten = now_nanos.saturating_sub(event.heard_nanos) >= FORGOTTEN_NANOS;
        if forgotten { event.told() } else { None }
    }
}

/// The digit, whether it is the end, the duration so far. Events that are no keys are `None`.
fn parse(payload: &[u8]) -> Option<(char, bool, u32)> {
    let [event, flags, high, low] = *payload.first_chunk::<4>()?;
    let digit = b"0123456789*#ABCD".get(usize::from(event))?;
    Some((char::from(*digit), flags & 0x80 != 0, u32::from(u16::from_be_bytes([high, low]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(event: u8, ended: bool, duration: u16) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [event, if ended { 0x8a } else { 0x0a }, high, low]
    }

    /// What a series of (time stamp, event, end, duration) tells, at 8 kHz.
    fn told(packets: &[(u32, u8, bool, u16)]) -> Vec<(char, u32)> {
        let mut keys = Keys::default();
        let told = packets.iter().flat_map(|(timestamp, event, ended, duration)| {
            keys.packet(*timestamp, &payload(*event, *ended, *duration), 8000, 0)
        });
        told.flatten().map(|press| (press.digit, press.duration_ms)).collect()
    }

    #[test]
    fn a_key_is_told_once_at_its_end() {
        let packets = [
            (160, 5, false, 160),
            (160, 5, false, 320),
            (160, 5, true, 800),
            (160, 5, true, 800),
            (160, 5, true, 800),
            (4000, 11, true, 400),
            (160, 5, true, 800),
        ];
        assert_eq!(told(&packets), [('5', 100), ('#', 50)]);
    }

    #[test]
    fn the_same_key_twice_is_two_keys() {
        assert_eq!(told(&[(0, 1, true, 800), (2000, 1, true, 800)]), [('1', 100), ('1', 100)]);
    }

    #[test]
    fn a_key_whose_end_is_lost_is_told_by_the_next_or_after_a_while() {
        let packets = [(0, 1, false, 800), (8000, 2, false, 160), (8000, 2, true, 320)];
        assert_eq!(told(&packets), [('1', 100), ('2', 40)]);
        let mut keys = Keys::default();
        assert_eq!(keys.packet(0, &payload(10, false, 480), 8000, 0), [None, None]);
        assert_eq!(keys.idle(FORGOTTEN_NANOS - 1), None);
        assert_eq!(keys.idle(FORGOTTEN_NANOS), Some(Press { digit: '*', duration_ms: 60 }));
        assert_eq!(keys.idle(u64::MAX), None);
        assert_eq!(keys.packet(0, &payload(10, true, 480), 8000, 0), [None, None]);
    }

    #[test]
    fn a_key_longer_than_its_field_is_one_key() {
        let packets =
            [(100, 0, false, 0xffff), (100 + 0xffff, 0, false, 8000), (100 + 0xffff, 0, true, 16_000)];
        assert_eq!(told(&packets), [('0', (0xffff + 16_000) / 8)]);
    }

    #[test]
    fn time_stamps_may_wrap_and_begin_anew() {
        assert_eq!(told(&[(u32::MAX, 3, true, 80), (500, 4, true, 80)]), [('3', 10), ('4', 10)]);
        assert_eq!(told(&[(4_000_000, 3, true, 80), (0, 4, true, 80)]), [('3', 10), ('4', 10)]);
    }

    #[test]
    fn what_is_no_key_is_not_told() {
        assert_eq!(told(&[(0, 16, true, 800), (9000, 255, true, 800)]), []);
        assert_eq!(Keys::default().packet(0, &[1, 0x80, 0], 8000, 0), [None, None]);
        assert_eq!(
            Keys::default().packet(0, &payload(15, true, 480), 48_000, 0)[1].map(|press| press.duration_ms),
            Some(10)
        );
    }
}
