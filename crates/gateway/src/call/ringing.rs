//! Provisional responses that a caller wants to be sure of (RFC 3262), in their order: each waits until the one before it was
//! acknowledged, and so does the acceptance, which follows what was said before.

use std::collections::VecDeque;

use crate::sip::{Answer, Header, Message};

/// The name of the extension.
pub const RELIABLE: &str = "100rel";

/// What a caller was told before its final response, when it wants to acknowledge that.
#[derive(Debug)]
pub struct Ringing {
    /// The number of the INVITE.
    invite: u32,
    /// The number of the response that is not acknowledged; 0: all are.
    open: u32,
    next: u32,
    waiting: VecDeque<Answer>,
}

impl Ringing {
    /// For a caller whose INVITE requires it; `None` for any other.
    pub fn for_caller(invite: &Message) -> Option<Self> {
        let (number, _) = invite.cseq()?;
        let wanted = invite.has_token("Require", RELIABLE);
        wanted.then(|| Self { invite: number, open: 0, next: 1, waiting: VecDeque::new() })
    }

    /// Says what may be sent now of something to say: itself, or nothing yet.
    pub fn say(&mut self, answer: Answer) -> Option<Answer> {
        if self.open != 0 && answer.status < 300 {
            self.waiting.push_back(answer);
            return None;
        }
        Some(self.numbered(answer))
    }

    fn numbered(&mut self, mut answer: Answer) -> Answer {
        if (101..200).contains(&answer.status) {
            self.open = self.next;
            self.next += 1;
            answer.headers.push(Header::new("Require", RELIABLE));
            answer.headers.push(Header::new("RSeq", self.open.to_string()));
        }
        answer
    }

    /// Whether a PRACK acknowledges the response that is open (section 7.2); what may be said then follows from [`Ringing::next`].
    pub fn acknowledged(&mut self, prack: &Message) -> bool {
        let mut words = prack.header("RAck").unwrap_or_default().split_ascii_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        let is_it = self.open != 0 && number() == Some(self.open) && number() == Some(self.invite);
        let is_it = is_it && words.next() == Some("INVITE");
        if is_it {
            self.open = 0;
        }
        is_it
    }

    /// What waited for an acknowledgement, when there is nothing to wait for any more.
    pub fn next(&mut self) -> Option<Answer> {
        if self.open != 0 {
            return None;
        }
        let answer = self.waiting.pop_front()?;
        Some(self.numbered(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &str) -> Message {
        let text = format!("INVITE sip:a SIP/2.0\r\nCSeq: 7 INVITE\r\n{headers}\r\n");
        Message::read(text.into()).unwrap()
    }

    fn numbers(answer: &Answer) -> Vec<&str> {
        answer
            .headers
            .iter()
            .filter(|header| header.name == "RSeq")
            .map(|header| header.value.as_str())
            .collect()
    }

    #[test]
    fn what_a_caller_wants_to_be_sure_of_comes_one_by_one_and_the_acceptance_after_it() {
        let mut ringing = Ringing::for_caller(&request("Require: timer, 100REL\r\n")).unwrap();
        assert_eq!(numbers(&ringing.say(Answer::plain(180)).unwrap()), ["1"]);
        assert_eq!(ringing.say(Answer::plain(183)), None);
        assert_eq!(ringing.say(Answer::plain(200)), None);
        for wrong in
            ["", "RAck: 2 7 INVITE\r\n", "RAck: 1 8 INVITE\r\n", "RAck: 1 7 UPDATE\r\n", "RAck: 1\r\n"]
        {
            assert!(!ringing.acknowledged(&request(wrong)), "{wrong}");
        }
        assert_eq!(ringing.next(), None);
        assert!(ringing.acknowledged(&request("RAck: 1 7 INVITE\r\n")));
        assert!(!ringing.acknowledged(&request("RAck: 1 7 INVITE\r\n")), "once");
        assert_eq!(numbers(&ringing.next().unwrap()), ["2"]);
        assert_eq!(ringing.next(), None);
        assert!(ringing.acknowledged(&request("RAck: 2 7 INVITE\r\n")));
        assert_eq!(ringing.next(), Some(Answer::plain(200)));
        assert_eq!(ringing.next(), None);
    }

    #[test]
    fn a_refusal_waits_for_nothing() {
        let mut ringing = Ringing::for_caller(&request("Require: 100rel\r\n")).unwrap();
        assert!(ringing.say(Answer::plain(180)).is_some());
        assert_eq!(ringing.say(Answer::plain(486)), Some(Answer::plain(486)));
    }

    #[test]
    fn who_only_could_acknowledge_is_told_as_ever() {
        assert!(Ringing::for_caller(&request("Supported: 100rel\r\n")).is_none());
    }
}
