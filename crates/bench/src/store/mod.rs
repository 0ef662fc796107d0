//! The store and the intake, as libraries, in this process.
