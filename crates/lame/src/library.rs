//! The shared library and the functions of it that are called.

use std::{
    ffi::{OsStr, c_int, c_short, c_uchar, c_void},
    path::Path,
    sync::Arc,
};

use libloading::Library;

/// What the dynamic loader knows the library by.
const SONAME: &str = "libmp3lame.so.0";

/// Why there is no MP3.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The library is not there, or cannot be loaded.
    #[error("cannot load LAME: {0}. Install libmp3lame0 (Debian, Ubuntu) or lame-libs (Fedora)")]
    Missing(#[source] libloading::Error),
    /// What was loaded is not LAME, or a LAME that is too old.
    #[error("what was loaded as LAME is none of version 3.98 or later: {0}")]
    Foreign(#[source] libloading::Error),
}

/// A state of LAME's own (`lame_t`), which only it reads.
pub(crate) type State = *mut c_void;

type Set = unsafe extern "C" fn(State, c_int) -> c_int;

/// The functions of `lame.h`, with its types. Each may be called as long as `_library` is loaded.
pub(crate) struct Functions {
    pub init: unsafe extern "C" fn() -> State,
    pub close: unsafe extern "C" fn(State) -> c_int,
    pub set_in_samplerate: Set,
    pub set_out_samplerate: Set,
    pub set_num_channels: Set,
    pub set_brate: Set,
    pub set_quality: Set,
    pub set_write_vbr_tag: Set,
    pub init_params: unsafe extern "C" fn(State) -> c_int,
    pub encode_buffer:
        unsafe extern "C" fn(State, *const c_short, *const c_short, c_int, *mut c_uchar, c_int) -> c_int,
    pub encode_flush: unsafe extern "C" fn(State, *mut c_uchar, c_int) -> c_int,
    _library: Library,
}

/// The loaded library. Copies are cheap; it is unloaded with the last copy and the last encoder.
#[derive(Clone)]
pub struct Lame {
    pub(crate) functions: Arc<Functions>,
}

impl std::fmt::Debug for Lame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Lame")
    }
}

impl Lame {
    /// Loads the library: the file of that path, or what the system knows as `libmp3lame.so.0`.
    ///
    /// The file is trusted as the program itself is: its code runs in this process.
    pub fn load(path: Option<&Path>) -> Result<Self, LoadError> {
        let name = path.map_or(OsStr::new(SONAME), Path::as_os_str);
        // SAFETY: initializers of the library run. LAME has none; another file is the operator's choice.
        let library = unsafe { Library::new(name) }.map_err(LoadError::Missing)?;
        Functions::of(library)
            .map(|functions| Self { functions: Arc::new(functions) })
            .map_err(LoadError::Foreign)
    }
}

impl Functions {
    fn of(library: Library) -> Result<Self, libloading::Error> {
        macro_rules! function {
            ($name:literal) => {{
                // SAFETY: the type is that of the field, which is what lame.h declares for the name.
                let symbol = unsafe { library.get($name) }?;
                *symbol
            }};
        }
        Ok(Self {
            init: function!(b"lame_init\0"),
            close: function!(b"lame_close\0"),
            set_in_samplerate: function!(b"lame_set_in_samplerate\0"),
            set_out_samplerate: function!(b"lame_set_out_samplerate\0"),
            set_num_channels: function!(b"lame_set_num_channels\0"),
            set_brate: function!(b"lame_set_brate\0"),
            set_quality: function!(b"lame_set_quality\0"),
            set_write_vbr_tag: function!(b"lame_set_bWriteVbrTag\0"),
            init_params: function!(b"lame_init_params\0"),
            encode_buffer: function!(b"lame_encode_buffer\0"),
            encode_flush: function!(b"lame_encode_flush\0"),
            _library: library,
        })
    }
}
