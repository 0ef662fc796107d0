//! The media of calls: the relay, the session descriptions on their way through it, and the recording, as a call wants them.

mod describe;
mod line;
mod made;

pub(super) use made::Maker;
