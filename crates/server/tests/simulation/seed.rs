//! The steps of a seed.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use pegcount::intake::Outcome;
use pegcount_calls::Timestamp;
use pegcount_faults::{Contents, Dice, Disk, Loss};

use crate::{
    checks::{self, Verdict},
    client::{BEGIN, Client},
    errands::Peer,
    machine::{Machine, NOTE, Surroundings, empty_store, mount, note_in},
};

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
/// How many rounds the end may take.
const MOST_ROUNDS: usize = 100;

/// A seed, and what has come of it.
pub struct Run {
    dice: Dice,
    client: Client,
    around: Surroundings,
    /// How many steps there are before the end.
    steps: u64,
    /// What was noted of commits; each may be what a crash leaves.
    notes: Vec<Vec<u8>>,
    pub crashes: u64,
    told: Vec<String>,
}

impl Run {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let around =
            Surroundings { millis: Arc::new(AtomicI64::new(BEGIN + HOUR / 2)), peer: Arc::<Peer>::default() };
        *around.peer.deaf.lock().unwrap() = *dice.pick(&[0, 20, 60]);
        let client = Client::with(&mut dice);
        let steps = 10 + dice.below(30);
        Self { dice, client, around, steps, notes: Vec::new(), crashes: 0, told: Vec::new() }
    }

    /// What happened, step by step.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for (number, told) in self.told.iter().enumerate() {
            let _ = writeln!(story, "{number:4} {told}");
        }
        story
    }

    fn tell(&mut self, told: impl Into<String>) {
        self.told.push(told.into());
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.around.millis.load(Ordering::Relaxed))
    }

    /// Runs it to its end.
    pub fn go(&mut self) -> Verdict {
        let mut machine = self.start(empty_store().clone())?;
        for _ in 0..self.steps {
            self.inflict(&machine.disk);
            self.step(&mut machine)?;
            machine = self.go_on(machine)?;
        }
        self.calm(&machine.disk);
        self.end(&mut machine)?;
        let losses = [Loss::Nothing, Loss::Unsynced, Loss::Latest, Loss::Scattered];
        let loss = *self.dice.pick(&losses);
        let mut machine = self.crash(machine, loss)?;
        self.calm(&machine.disk);
        self.end(&mut machine)
    }

    /// Starts the program, as often as the power goes.
    fn start(&mut self, mut contents: Contents) -> Verdict<Machine> {
        loop {
            let (folder, disk) = mount(&contents);
            if self.dice.percent(15) {
                disk.cut_power_after(Some(self.dice.below(12)));
            }
            match Machine::start((folder, disk), &self.around, &mut self.dice) {
                Ok(machine) => {
                    self.notes = vec![machine.note()];
                    machine.settle();
                    self.tell(format!("started, after {} operations", machine.disk.operations()));
                    if !machine.disk.is_down() {
                        machine.disk.cut_power_after(None);
                        return Ok(machine);
                    }
                    let (disk, folder) = machine.kill();
                    self.notes.push(note_in(&folder));
                    contents = self.left(&disk, Loss::Scattered);
                }
                Err((_, disk, folder)) if disk.is_down() => {
                    self.notes = vec![note_in(&folder)];
                    contents = self.left(&disk, Loss::Scattered);
                }
                Err((error, ..)) => return Err(format!("the store cannot be opened: {error:?}")),
            }
        }
    }

    /// What a crash leaves, the note of commits too.
    fn left(&mut self, disk: &Arc<Disk>, loss: Loss) -> Contents {
        self.crashes += 1;
        for operation in disk.history() {
            self.told.push(format!("     {operation}"));
        }
        let mut contents = disk.left(loss, &mut self.dice);
        let note = match loss {
            Loss::Nothing => self.notes.last(),
            _ => self.notes.get(self.dice.place(self.notes.len())),
        };
        contents.extend(note.map(|note| (NOTE.to_owned(), note.clone())));
        self.tell(format!("crash that takes {loss:?}"));
        contents
    }

    fn crash(&mut self, machine: Machine, loss: Loss) -> Verdict<Machine> {
        let (disk, folder) = machine.kill();
        self.notes.push(note_in(&folder));
        let contents = self.left(&disk, loss);
        let mut machine = self.start(contents)?;
        checks::calls(&machine, &self.client)?;
        if self.dice.percent(40) {
            checks::store(&mut machine)?;
        }
        Ok(machine)
    }

    /// Starts anew if the power is gone, by itself or by chance; looks at everything.
    fn go_on(&mut self, machine: Machine) -> Verdict<Machine> {
        let looks = self.dice.percent(30);
        if looks {
            machine.settle();
        }
        if machine.disk.is_down() || self.dice.percent(4) {
            let losses = [Loss::Nothing, Loss::Unsynced, Loss::Latest, Loss::Scattered, Loss::Scattered];
            let loss = *self.dice.pick(&losses);
            return self.crash(machine, loss);
        }
        let note = machine.note();
        if self.notes.last() != Some(&note) {
            self.notes.push(note);
        }
        if looks {
            checks::calls(&machine, &self.client)?;
        }
        Ok(machine)
    }

    /// Has the disk fail in some way during the next step, or no more.
    fn inflict(&mut self, disk: &Disk) {
        self.calm(disk);
        match self.dice.below(100) {
            0..20 => {
                let operations = self.dice.below(40);
                disk.cut_power_after(Some(operations));
                self.tell(format!("the power goes after {operations} operations"));
            }
            20..25 => {
                let bytes = self.dice.below(20_000);
                disk.set_room(Some(bytes));
                self.tell(format!("there is room for {bytes} bytes"));
            }
            25..30 => {
                disk.set_failing(50, 0, Dice::of(self.dice.throw()));
                self.tell("half of all syncs fail");
            }
            30..33 => {
                disk.set_failing(0, 20, Dice::of(self.dice.throw()));
                self.tell("a fifth of all writes fails");
            }
            _ => {}
        }
    }

    fn calm(&mut self, disk: &Disk) {
        disk.cut_power_after(None);
        disk.set_room(None);
        disk.set_failing(0, 0, Dice::of(0));
    }

    fn step(&mut self, machine: &mut Machine) -> Verdict {
        match self.dice.below(100) {
            0..50 => self.talk(machine),
            50..75 => {
                let turns = self.dice.below(16);
                self.tell(format!("jobs have {turns} turns"));
                machine.jobs.nudge();
                machine.turn(turns);
                // Between what a job does and the note that it is done.
                if self.dice.percent(20) {
                    machine.disk.cut_power();
                }
                Ok(())
            }
            75..83 => {
                machine.settle();
                machine.chores.move_log();
                self.tell("the log is moved");
                Ok(())
            }
            83..88 => {
                machine.settle();
                machine.chores.write_documents();
                machine.chores.take_words_in();
                self.tell("documents are written, and words are taken in");
                Ok(())
            }
            _ => {
                let millis = match self.dice.below(10) {
                    0 => 26 * HOUR,
                    1 => -HOUR,
                    _ => self.dice.below(120).cast_signed() * SECOND,
                };
                let now = (self.now().millis() + millis).max(BEGIN);
                self.around.millis.store(now, Ordering::Relaxed);
                self.tell(format!("the clock goes {} s further", millis / SECOND));
                Ok(())
            }
        }
    }

    /// Some requests at once, of which some, and some answers, are lost.
    fn talk(&mut self, machine: &Machine) -> Verdict {
        let now = self.now();
        // Requests that are under way at once are taken in whichever order: only what was known before must not be new.
        let mut known: BTreeSet<usize> = BTreeSet::new();
        known.extend((0..self.client.sayings.len()).filter(|place| self.client.sayings[*place].is_kept));
        let mut requests = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let chosen = self.client.choose(&mut self.dice);
            if !chosen.is_empty() && !self.dice.percent(10) {
                let request = self.client.request(&chosen, now);
                requests.push((chosen, machine.intake.clone(), request));
            }
        }
        let answers = machine.runtime.block_on(async {
            let accept = |(chosen, intake, request): (_, pegcount::intake::Intake, _)| {
                tokio::spawn(async move { (chosen, intake.accept(request).await) })
            };
            let asked: Vec<_> = requests.into_iter().map(accept).collect();
            let mut answers = Vec::new();
            for one in asked {
                answers.push(one.await.expect("the way in does not panic"));
            }
            answers
        });
        for (chosen, answer) in answers {
            let said: Vec<_> = chosen.iter().map(|place| self.client.sayings[*place].id.as_str()).collect();
            let told = match &answer {
                Ok(outcomes) => format!("{outcomes:?}"),
                Err(error) => format!("{error:?}"),
            };
            self.tell(format!("said {}: {told}", said.join(", ")));
            if let Ok(outcomes) = answer {
                self.hear(&chosen, &outcomes, &mut known)?;
            }
        }
        Ok(())
    }

    /// Takes an answer in. What the ledger has it must not take once more.
    fn hear(&mut self, chosen: &[usize], outcomes: &[Vec<Outcome>], known: &mut BTreeSet<usize>) -> Verdict {
        let arrives = !self.dice.percent(10);
        for (place, outcome) in chosen.iter().zip(outcomes) {
            let saying = &mut self.client.sayings[*place];
            let (id, call) = (&saying.id, &saying.call);
            match outcome.as_slice() {
                [Outcome::Accepted] if !known.insert(*place) => {
                    return Err(format!("{id} of {call} was taken in twice"));
                }
                [Outcome::Accepted | Outcome::Duplicate] => saying.is_kept = true,
                other => return Err(format!("{id} of {call} was answered by {other:?}")),
            }
            // What was answered may be said once more all the same.
            if arrives && !self.dice.percent(15) {
                self.client.outbox.retain(|other| other != place);
            }
        }
        Ok(())
    }

    /// Everything is said and done, with a disk that works.
    fn end(&mut self, machine: &mut Machine) -> Verdict {
        self.tell("the end: nothing fails any more");
        *self.around.peer.deaf.lock().unwrap() = 0;
        for _ in 0..MOST_ROUNDS {
            if self.client.outbox.is_empty() {
                break;
            }
            self.talk(machine)?;
        }
        for _ in 0..MOST_ROUNDS {
            self.around.millis.fetch_add(26 * HOUR, Ordering::Relaxed);
            machine.jobs.nudge();
            machine.settle();
            let now = self.now();
            let left = machine.runtime.block_on(async {
                machine.store.rerun_dead_jobs(None, now).await?;
                machine.store.job_counts().await
            });
            if left.map_err(|error| format!("jobs cannot be counted: {error:?}"))?.is_empty() {
                break;
            }
        }
        machine.settle();
        machine.chores.move_log();
        checks::calls(machine, &self.client)?;
        checks::store(machine)?;
        let left = machine.runtime.block_on(machine.store.job_counts());
        let left = left.map_err(|error| format!("jobs cannot be counted: {error:?}"))?;
        if !left.is_empty() {
            return Err(format!("jobs are left: {left:?}"));
        }
        checks::end(machine, &self.client, &self.around.peer)
    }
}
