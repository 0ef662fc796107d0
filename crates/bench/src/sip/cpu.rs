//! The CPU time that processes have used, as the system counts it: in ticks of 10 ms.

use std::{fs, path::Path, time::Duration};

use crate::serving::failed;

/// Of a whole process, threads that have ended among them.
///
/// # Errors
/// When there is no such process.
pub fn of_process(id: u32) -> Result<Duration, String> {
    let stat = read(Path::new(&format!("/proc/{id}/stat")))?;
    Stat::read(&stat).map(|stat| stat.time()).ok_or_else(|| unreadable(&stat))
}

/// Of the threads of a process that have this name.
///
/// # Errors
/// When there is no such process, or no such thread.
pub fn of_threads(id: u32, name: &str) -> Result<Duration, String> {
    let tasks = format!("/proc/{id}/task");
    let entries = fs::read_dir(&tasks).map_err(|error| failed(&tasks, &error))?;
    let mut times = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        // One that ends meanwhile has no files any more.
        let Ok(stat) = read(&entry.path().join("stat")) else { continue };
        let stat = Stat::read(&stat).ok_or_else(|| unreadable(&stat))?;
        if stat.name == name {
            times.push(stat.time());
        }
    }
    if times.is_empty() {
        return Err(format!("no thread of {id} is called {name}"));
    }
    Ok(times.into_iter().sum())
}

/// Of a process and all that it has started and that is still there.
///
/// # Errors
/// When there is no such process.
pub fn of_family(id: u32) -> Result<Duration, String> {
    family(id)?.into_iter().map(of_process).sum()
}

/// A process and all that it has started, those that these have started, and so on.
///
/// # Errors
/// When the system does not tell.
pub fn family(id: u32) -> Result<Vec<u32>, String> {
    let entries = fs::read_dir("/proc").map_err(|error| failed("/proc", &error))?;
    let numbers = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let parents: Vec<(u32, u32)> = numbers
        .filter_map(|number| {
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            Some((number, Stat::read(&stat)?.parent))
        })
        .collect();
    let mut all = vec![id];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        let children = parents.iter().filter(|(number, of)| *of == parent && !all.contains(number));
        let children: Vec<u32> = children.map(|(number, _)| *number).collect();
        all.extend(children);
        next += 1;
    }
    Ok(all)
}

/// What the system says of a process or a thread.
#[derive(Debug, PartialEq)]
struct Stat<'a> {
    name: &'a str,
    parent: u32,
    ticks: u64,
}

impl<'a> Stat<'a> {
    /// Its name may have blanks and brackets in it: what comes after the last bracket is plain.
    fn read(text: &'a str) -> Option<Self> {
        let (before, after) = text.rsplit_once(") ")?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
        // proc_pid_stat(5): the state is field 3; the parent 4; the time in user and in kernel mode 14 and 15.
        Some(Self { name, parent: fields.get(1)?.parse().ok()?, ticks: ticks(11)? + ticks(12)? })
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| failed(&path.display().to_string(), &error))
}

fn unreadable(stat: &str) -> String {
    format!("the system tells of a process what is not known here: {stat}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 3 0 100 1000 200";
        assert_eq!(Stat::read(text), Some(Stat { name: "a) b (c", parent: 7, ticks: 42 }));
        assert_eq!(Stat::read("42 (a) S 7"), None);
    }

    #[test]
    fn a_thread_is_found_by_its_name() {
        let own = std::process::id();
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("busy-for-a-test".into());
        let thread = thread.spawn(move || (begun.send(()), waits.recv())).unwrap();
        // It gives itself its name.
        begins.recv().unwrap();
        assert!(of_threads(own, "busy-for-a-test").is_ok());
        assert!(of_threads(own, "nobody").is_err());
        assert!(of_family(own).unwrap() >= of_threads(own, "busy-for-a-test").unwrap());
        drop(done);
        let _ = thread.join();
    }
}
