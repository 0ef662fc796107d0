//! What each side of a call said of its media, and what it was told. No socket inside.

use std::net::{IpAddr, SocketAddr};

use crate::{
    Side,
    media::{Latching, Remote},
    sdp::{
        Codec, Description, Local, Origin, Relayed, SdpError, own_offer, relay_answer, relay_offer,
        told_again,
    },
};

/// What we offer to who called without an offer.
const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::TelephoneEvent];

/// An offer without an answer yet.
#[derive(Debug)]
struct Pending {
    /// Who made it; none: we did.
    from: Option<Side>,
    /// What its maker said.
    said: Option<Description>,
    /// To whom it was told, and how.
    to: Side,
    told: Description,
}

/// One side.
#[derive(Debug)]
struct Party {
    /// Where its media may come from beside where it says.
    latching: Latching,
    /// Where it finds us.
    local: SocketAddr,
    origin: Origin,
    /// What it was told last that stands.
    told: Option<Description>,
}

/// Both sides.
#[derive(Debug)]
pub(super) struct Table {
    parties: [Party; 2],
    pending: Option<Pending>,
    /// The offer that was answered last, as its maker said it: an answer may come again, in other words.
    answered: Option<Pending>,
}

/// What comes of an answer: where the sides are from now on.
pub(super) type Connected = Vec<(Side, Remote)>;

const fn index(side: Side) -> usize {
    match side {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}

impl Table {
    /// A table where nothing is said yet. `locals` are where each side finds us, `sessions` numbers of their sessions.
    pub(super) fn new(locals: [SocketAddr; 2], sessions: [u32; 2]) -> Self {
        let party = |at: usize| Party {
            latching: Latching::Off,
            local: locals[at],
            origin: Origin::new(sessions[at], locals[at].ip()),
            told: None,
        };
        Self { parties: [party(0), party(1)], pending: None, answered: None }
    }

    const fn party(&mut self, side: Side) -> &mut Party {
        &mut self.parties[index(side)]
    }

    /// Who stands on a side, and at which of our addresses it finds us.
    pub(super) fn stands(&mut self, side: Side, latching: Latching, address: IpAddr, session: u32) {
        let party = self.party(side);
        party.latching = latching;
        if party.local.ip() != address {
            party.local.set_ip(address);
            party.origin = Origin::new(session, address);
        }
    }

    fn place(&self, side: Side) -> Local {
        let rtp = self.parties[index(side)].local;
        Local { rtp, rtcp_port: rtp.port().saturating_add(1) }
    }

    /// Takes an offer, and gives what to tell the other side.
    pub(super) fn offer(&mut self, from: Side, sdp: &[u8]) -> Result<String, SdpError> {
        let said = Description::parse(sdp)?;
        let (to, local) = (from.other(), self.place(from.other()));
        let Relayed { body, sent } = relay_offer(&said, local, &mut self.party(to).origin)?;
        let before = self.pending.replace(Pending { from: Some(from), said: Some(said), to, told: sent });
        // What it offers may be its answer to what we offered: the other side called without an offer.
        if let Some(ours) = before.filter(|before| before.from.is_none() && before.to == from) {
            self.party(from).told = Some(ours.told);
        }
        Ok(body)
    }

    /// Whether an answer of a side could be taken.
    pub(super) fn check_answer(&self, from: Side, sdp: &[u8]) -> Result<(), SdpError> {
        self.read_answer(from, sdp).map(|_| ())
    }

    /// Reads an answer, which has a codec of what its side was told last (RFC 3264, 6.1).
    fn read_answer(&self, from: Side, sdp: &[u8]) -> Result<Description, SdpError> {
        let answer = Description::parse(sdp)?;
        let of = |offer: &Option<Pending>| {
            offer.as_ref().filter(|offer| offer.to == from).map(|offer| offer.told.audio().payloads.clone())
        };
        let stands = || self.parties[index(from)].told.as_ref().map(|told| told.audio().payloads.clone());
        let offered = of(&self.pending).or_else(|| of(&self.answered)).or_else(stands);
        match offered {
            Some(offered) if !answer.audio().payloads.shares_speech_with(&offered) => {
                Err(SdpError::NotOffered)
            }
            Some(_) | None => Ok(answer),
        }
    }

    /// Takes an answer, and gives what to tell the other side, if that made the offer, and where the sides are.
    pub(super) fn answer(&mut self, from: Side, sdp: &[u8]) -> Result<(String, Connected), SdpError> {
        let answer = self.read_answer(from, sdp)?;
        let latching = self.party(from).latching;
        let pending = self.pending.take_if(|pending| pending.to == from);
        // An answer may come twice: early, and with the final response.
        let pending = pending.or_else(|| self.answered.take_if(|answered| answered.to == from));
        let Some(pending) = pending else {
            // To what it was told last, once more.
            let told = self.party(from).told.as_ref().ok_or(SdpError::NoAudio)?;
            let remote = Remote::new(answer.audio(), told.audio(), latching);
            return Ok((String::new(), vec![(from, remote)]));
        };
        let mut connected = vec![(from, Remote::new(answer.audio(), pending.told.audio(), latching))];
        let mut body = String::new();
        if let (Some(offerer), Some(offer)) = (pending.from, &pending.said) {
            let local = self.place(offerer);
            let party = self.party(offerer);
            let relayed = relay_answer(&answer, offer, local, &mut party.origin)?;
            connected.push((offerer, Remote::new(offer.audio(), relayed.sent.audio(), party.latching)));
            party.told = Some(relayed.sent);
            body = relayed.body;
        }
        self.party(from).told = Some(pending.told.clone());
        self.answered = Some(pending);
        Ok((body, connected))
    }

    /// What to tell a side when the other said nothing: what it was told last, or an offer of ours.
    pub(super) fn own(&mut self, to: Side) -> Result<String, SdpError> {
        // An offer that got no answer so far was refused.
        self.pending = None;
        let local = self.place(to);
        let party = self.party(to);
        if let Some(told) = &party.told {
            return Ok(told_again(told, &mut party.origin)?.body);
        }
        let Relayed { body, sent } = own_offer(local, &CODECS, &mut party.origin)?;
        self.pending = Some(Pending { from: None, said: None, to, told: sent });
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Direction;

    const CALLER: &str = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                          m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    const CALLEE: &str = "v=0\r\no=b 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
                          m=audio 6000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

    fn table() -> Table {
        let locals = ["198.51.100.1:10000", "198.51.100.1:10002"].map(|at| at.parse().unwrap());
        Table::new(locals, [1, 2])
    }

    fn rtp(connected: &Connected, side: Side) -> Option<String> {
        let found = connected.iter().find(|(of, _)| *of == side)?;
        found.1.rtp.map(|rtp| rtp.to_string())
    }

    #[test]
    fn an_offer_and_its_answer_connect_both_sides_at_our_addresses() {
        let mut table = table();
        let offer = table.offer(Side::Caller, CALLER.as_bytes()).unwrap();
        assert!(offer.contains("m=audio 10002 RTP/AVP 0 8 101") && offer.contains("198.51.100.1"), "{offer}");
        let (answer, connected) = table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        assert!(answer.contains("m=audio 10000 RTP/AVP 8 101"), "{answer}");
        assert_eq!(rtp(&connected, Side::Caller).as_deref(), Some("192.0.2.1:4000"));
        assert_eq!(rtp(&connected, Side::Callee).as_deref(), Some("192.0.2.2:6000"));
        // The final response says it again.
        let (again, connected) = table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        assert_eq!((again, connected.len()), (answer.clone(), 2));
        // A refresh tells what was told.
        assert_eq!(table.own(Side::Caller).unwrap(), answer);
        let (nothing, connected) = table.answer(Side::Caller, CALLER.as_bytes()).unwrap();
        assert!(nothing.is_empty());
        assert_eq!(connected.len(), 1);
    }

    #[test]
    fn an_answer_without_an_offered_codec_changes_nothing() {
        let mut table = table();
        table.offer(Side::Caller, CALLER.as_bytes()).unwrap();
        let other = CALLEE.replace("AVP 8 101", "AVP 9 101");
        for _ in 0..2 {
            assert_eq!(table.answer(Side::Callee, other.as_bytes()), Err(SdpError::NotOffered));
        }
        let (first, _) = table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        // The same within the call.
        table.offer(Side::Caller, CALLER.replace("AVP 0 8 101", "AVP 8").as_bytes()).unwrap();
        let narrow = CALLEE.replace("AVP 8 101", "AVP 0");
        assert_eq!(table.check_answer(Side::Callee, narrow.as_bytes()), Err(SdpError::NotOffered));
        let again = table.own(Side::Callee).unwrap();
        assert!(again.contains("AVP 0 8 101"), "{again}");
        let (_, connected) = table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        assert_eq!(connected.len(), 2);
        assert_eq!(table.own(Side::Caller).unwrap(), first);
    }

    #[test]
    fn a_caller_without_an_offer_gets_the_callees_answer_to_ours() {
        let mut table = table();
        let ours = table.own(Side::Callee).unwrap();
        assert!(ours.contains("m=audio 10002 RTP/AVP 0 8 9 101"), "{ours}");
        let offer = table.offer(Side::Callee, CALLEE.as_bytes()).unwrap();
        assert!(offer.contains("m=audio 10000 RTP/AVP 8 101"), "{offer}");
        let (_, connected) = table.answer(Side::Caller, CALLER.as_bytes()).unwrap();
        assert_eq!(connected.len(), 2);
    }

    #[test]
    fn a_hold_that_was_refused_is_none() {
        let mut table = table();
        table.offer(Side::Caller, CALLER.as_bytes()).unwrap();
        table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        table.offer(Side::Caller, format!("{CALLER}a=sendonly\r\n").as_bytes()).unwrap();
        let refreshed = table.own(Side::Callee).unwrap();
        assert!(!refreshed.contains("sendonly"), "{refreshed}");
        let (_, connected) = table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        assert!(connected.iter().all(|(_, remote)| remote.direction == Direction::SendReceive));
    }

    #[test]
    fn two_parties_that_an_order_connects_talk_in_the_firsts_words() {
        let mut table = table();
        table.own(Side::Caller).unwrap();
        let (_, connected) = table.answer(Side::Caller, CALLER.as_bytes()).unwrap();
        assert_eq!(rtp(&connected, Side::Caller).as_deref(), Some("192.0.2.1:4000"));
        table.offer(Side::Caller, CALLER.as_bytes()).unwrap();
        let (_, connected) = table.answer(Side::Callee, CALLEE.as_bytes()).unwrap();
        assert_eq!(connected.len(), 2);
    }

    #[test]
    fn a_side_of_another_family_finds_us_at_another_address() {
        let mut table = table();
        table.stands(Side::Callee, Latching::Any, "2001:db8::1".parse().unwrap(), 7);
        let offer = table.offer(Side::Caller, CALLER.as_bytes()).unwrap();
        assert!(offer.contains("c=IN IP6 2001:db8::1") && offer.contains("m=audio 10002"), "{offer}");
    }
}
