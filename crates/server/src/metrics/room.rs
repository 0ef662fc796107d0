//! What the store and its disk take and have left, as `GET /metrics` shows it.

use std::sync::atomic::AtomicU64;

use pegcount_store::Size;
use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

type Level = Gauge<u64, AtomicU64>;

/// The part of the metrics that is about disks. Files and disks are asked; here the answers are only shown.
#[derive(Debug, Default)]
pub struct RoomMetrics {
    disk_free: Level,
    store: Level,
    store_log: Level,
    words_index: Level,
}

impl RoomMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, level) in [
            (
                "disk_free",
                "Room on the disk of the data folder, or of the store where that has less",
                &self.disk_free,
            ),
            ("store", "Size of the store's file", &self.store),
            ("store_log", "Size of the store's write-ahead log", &self.store_log),
            ("words_index", "Size of the index of words, with its log", &self.words_index),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, level.clone());
        }
    }

    /// Shows these figures. One that is not known stays as it was.
    pub fn show(&self, disk_free: Option<u64>, size: Option<Size>) {
        if let Some(free) = disk_free {
            self.disk_free.set(free);
        }
        if let Some(Size { bytes, log_bytes, words_bytes }) = size {
            self.store.set(bytes);
            self.store_log.set(log_bytes);
            self.words_index.set(words_bytes);
        }
    }
}
