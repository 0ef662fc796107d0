//! The name of a recording's file.

use std::fmt;

use pegcount_calls::CallName;
use pegcount_gateway::recording::Format;
use pegcount_store::{Filed, OrganizationNumber};

/// Every format, the usual one first.
pub(super) const FORMATS: [Format; 2] = [Format::Mp3, Format::Wav];

/// A recording's name, `{organization's number}.{call's name}.{format}`: that of its file. It never leads out of the
/// folder: neither part of it may hold a slash, and none is `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    organization: OrganizationNumber,
    call: CallName,
    format: Format,
}

impl Object {
    /// The recording of a call.
    pub const fn new(organization: OrganizationNumber, call: CallName, format: Format) -> Self {
        Self { organization, call, format }
    }

    /// Reads a name; `None` for what no recording of ours is called.
    pub fn parse(name: &str) -> Option<Self> {
        let (organization, rest) = name.split_once('.')?;
        let (call, format) = rest.rsplit_once('.')?;
        let format = FORMATS.into_iter().find(|one| one.suffix() == format)?;
        let number = organization.parse().ok().filter(|number| *number >= 0)?;
        let object = Self::new(OrganizationNumber(number), CallName::new(call).ok()?, format);
        // A number can be written in other ways too (+1, 01); one file has one name.
        (object.to_string() == name).then_some(object)
    }

    /// The recording of this name, if it is one of a call of one of these names: a source may name any.
    pub fn of_call<'a>(
        organization: OrganizationNumber,
        names: impl IntoIterator<Item = &'a CallName>,
        name: &str,
    ) -> Option<Self> {
        let object = Self::parse(name)?;
        names.into_iter().any(|call| object.is_of(organization, call)).then_some(object)
    }

    /// The recording of our own that a call names.
    pub fn of(filed: &Filed) -> Option<Self> {
        let recording = filed.call.content.recording.as_ref().filter(|recording| recording.url.is_none())?;
        Self::of_call(filed.head.organization, filed.names(), recording.object.as_deref()?)
    }

    /// Whose call it is of.
    pub const fn organization(&self) -> OrganizationNumber {
        self.organization
    }

    /// The call it is of.
    pub const fn call(&self) -> &CallName {
        &self.call
    }

    /// Its media type.
    pub const fn media_type(&self) -> &'static str {
        match self.format {
            Format::Mp3 => "audio/mpeg",
            Format::Wav => "audio/wav",
        }
    }

    /// Whether it is of this call.
    pub fn is_of(&self, organization: OrganizationNumber, call: &CallName) -> bool {
        self.organization == organization && self.call == *call
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.organization.0, self.call, self.format.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_says_whose_recording_it_is_of_which_call_and_in_which_format() {
        let object = Object::parse("7.call_1.x@host.mp3").unwrap();
        assert_eq!(object.organization(), OrganizationNumber(7));
        assert_eq!(object.call().as_str(), "call_1.x@host");
        assert_eq!(object.media_type(), "audio/mpeg");
        assert_eq!(object.to_string(), "7.call_1.x@host.mp3");
        assert_eq!(Object::parse("7.call_1.wav").unwrap().media_type(), "audio/wav");
        assert!(object.is_of(OrganizationNumber(7), &CallName::new("call_1.x@host").unwrap()));
        assert!(!object.is_of(OrganizationNumber(8), &CallName::new("call_1.x@host").unwrap()));
    }

    #[test]
    fn what_no_recording_is_called_is_no_name() {
        for name in [
            "",
            ".",
            "..",
            "7",
            "7.",
            "7.mp3",
            "7..mp3",
            "7.call",
            "7.call.",
            "7.call.MP3",
            "7.call.mp3.part",
            "7.call.ogg",
            "07.call.mp3",
            "+7.call.mp3",
            "-7.call.mp3",
            "call.mp3",
            " 7.call.mp3",
            "7.call.mp3 ",
            "7.a/b.mp3",
            "7./.mp3",
            "../7.call.mp3",
            "7.../../../etc/passwd.mp3",
            "7.a\\b.mp3",
            "7.a\0b.mp3",
            "7.a%2fb.mp3",
            "7.stats.mp3",
            "99999999999999999999.call.mp3",
            "7.é.mp3",
            "journals/7.call.journal",
        ] {
            assert_eq!(Object::parse(name), None, "{name:?}");
        }
        assert_eq!(Object::parse(&format!("7.{}.mp3", "a".repeat(129))), None);
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_is_one_part_of_a_path(name in "([0-9]{0,3}\\.)?[a-z./\\\\@:%+~ \\x00]{0,12}\\.(mp3|wav)") {
            if let Some(object) = Object::parse(&name) {
                let folder = std::path::Path::new("/data/recordings");
                let path = folder.join(object.to_string());
                prop_assert_eq!(path.parent(), Some(folder));
                prop_assert_eq!(path.file_name().and_then(std::ffi::OsStr::to_str), Some(name.as_str()));
            }
        }
    }
}
