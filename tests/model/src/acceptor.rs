//! A correct acceptor: what the model remembers of it, and the real replica behind it.
//!
//! A replica cannot be copied, so each is made anew by playing to it again all that it has heard. Equal inputs give equal
//! replicas; that is a rule of the core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use carat_consensus::effect::Report as Told;
use carat_consensus::{Effect, Input, Now, Replica, Timer, VerifiedMessage};
use carat_types::message::{Fetch, HighestVotes, Message, Signed, ViewChange};

use crate::world::{N, QUORUM, VIEWS_MAX, Value, Values, World, id, moment};

/// What a VIEW-CHANGE says of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shown {
    /// View and value of the last vote.
    pub vote: Option<(u8, Value)>,
    /// View and value of the prepared certificate.
    pub certificate: Option<(u8, Value)>,
}

/// How a NEW-VIEW was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// The slot is free: the leader may propose.
    Free,
    /// The slot must keep this value.
    Forced(Value),
}

/// Everything about a correct acceptor that matters for what it can do later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acceptor {
    /// Its place among the four.
    pub id: u8,
    /// The view that it is in.
    pub view: u8,
    /// How it entered; none while it waits for the NEW-VIEW. One that has voted for a proposal is like one that was forced to.
    pub entry: Option<Entry>,
    /// Its PREPARE in each view.
    pub votes: [Option<Value>; VIEWS_MAX],
    /// Its COMMIT in each view.
    pub commits: [Option<Value>; VIEWS_MAX],
    /// What its last VIEW-CHANGE showed.
    pub shown: Shown,
    /// Whose PREPAREs it has heard that made a difference: for each view and value a bit for each signer.
    pub heard: [[u8; 2]; VIEWS_MAX],
}

/// What no correct acceptor does, whatever it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// An invariant of the core is broken.
    Panicked,
    /// It stopped for good.
    Halted,
    /// It voted for two values in one view (I1).
    VotedTwice,
    /// It committed two values in one view.
    CommittedTwice,
    /// It voted in a view that it had left (I2), or had not entered (I3).
    VotedOutOfView,
    /// It committed in a view that it had left (I2).
    CommittedOutOfView,
    /// It voted for something that nobody proposed in this world.
    VotedForTheUnknown,
}

/// What a replica has said.
#[derive(Clone, Debug, Default)]
pub struct Said {
    votes: Vec<(u8, Value)>,
    commits: Vec<(u8, Value)>,
    view_change: Option<Arc<Signed<ViewChange>>>,
    entered: Option<u8>,
    /// The values that it found final.
    pub decided: Values,
    wrong: Option<Wrong>,
}

/// All that a replica has heard so far.
pub type Life = Vec<(Now, Input)>;

/// A replica with its life.
struct Running<'a> {
    world: &'a World,
    me: u8,
    replica: Replica,
    life: Life,
    said: Said,
}

impl<'a> Running<'a> {
    /// The first start. The others know no vote of it, so the start-up guard passes.
    fn start(world: &'a World, me: u8) -> Self {
        let (config, tip) = world.config(me);
        let (replica, _) = Replica::start(config, moment(0, 0), Vec::new(), tip).expect("an empty journal");
        let mut running = Running { world, me, replica, life: Life::new(), said: Said::default() };
        for from in running.others().take(QUORUM - 1) {
            let nothing = HighestVotes { of: id(me), prepare: None, commit: None, view_change: None };
            let message = VerifiedMessage::HighestVotes(Arc::new(nothing));
            running.handle(moment(0, 0), Input::Message { from: id(from), message });
        }
        running
    }

    /// A replica that has had this life, and has said nothing since.
    fn replay(world: &'a World, me: u8, life: &Life) -> Self {
        let mut running = Running::start(world, me);
        for (now, input) in life {
            running.hear(*now, input.clone());
        }
        running.said = Said::default();
        running
    }

    fn others(&self) -> impl Iterator<Item = u8> + use<> {
        let me = self.me;
        (0..N).filter(move |other| *other != me)
    }

    /// Something that the model decides upon happens.
    fn hear(&mut self, now: Now, input: Input) {
        self.life.push((now, input.clone()));
        self.handle(now, input);
    }

    /// A message of whoever signed it, by the channel of somebody else if the signer is the receiver's own proposer.
    fn receive(&mut self, now: Now, message: VerifiedMessage) {
        let from = self.others().next().map_or(id(self.me), id);
        self.hear(now, Input::Message { from, message });
    }

    /// All lines are whole. Else it would take itself for cut off and blame nobody, and would pass over whom it does not hear (rules TC
    /// and T8): in the model every view has its turn.
    fn hear_everybody(&mut self, now: Now) {
        for from in self.others() {
            let message = VerifiedMessage::Status(self.world.status());
            self.hear(now, Input::Message { from: id(from), message });
        }
    }

    fn handle(&mut self, now: Now, input: Input) {
        let effects = self.replica.handle(now, input);
        let mut wanted = Vec::new();
        for effect in effects {
            match effect {
                Effect::Broadcast(message) => self.said(message),
                // Somebody has every payload.
                Effect::Send { message: Message::Fetch(Fetch::Payload(digest)), .. } => wanted.push(digest),
                Effect::Execute(execute) => match self.world.value(&execute.payload.digest()) {
                    Some(value) => self.said.decided = self.said.decided.with(value),
                    None => self.blame(Wrong::VotedForTheUnknown),
                },
                Effect::Report(Told::ViewEntered { view, .. }) => {
                    self.said.entered = u8::try_from(view.0).ok();
                }
                Effect::Halt(_) => self.blame(Wrong::Halted),
                _ => {}
            }
        }
        for value in wanted.iter().filter_map(|digest| self.world.value(digest)) {
            let from = self.others().next().map_or(id(self.me), id);
            let message = VerifiedMessage::Payload(value.into());
            self.handle(now, Input::Message { from, message });
        }
    }

    fn said(&mut self, message: Message) {
        match message {
            Message::Prepare(vote) => match self.world.read(&vote.signed.body.0) {
                Some(vote) => self.said.votes.push(vote),
                None => self.blame(Wrong::VotedForTheUnknown),
            },
            Message::Commit(vote) => match self.world.read(&vote.body.0) {
                Some(vote) => self.said.commits.push(vote),
                None => self.blame(Wrong::VotedForTheUnknown),
            },
            Message::ViewChange(signed) => self.said.view_change = Some(signed),
            _ => {}
        }
    }

    fn blame(&mut self, wrong: Wrong) {
        self.said.wrong = self.said.wrong.or(Some(wrong));
    }
}

/// What came of something that an acceptor did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it is now.
    pub acceptor: Acceptor,
    /// What its replica has heard so far.
    pub life: Life,
    /// The VIEW-CHANGE that it sent.
    pub view_change: Option<Arc<Signed<ViewChange>>>,
    /// What it should not have done.
    pub wrong: Option<Wrong>,
    /// Whether it took the NEW-VIEW that it was shown.
    pub took_new_view: bool,
}

/// What a replica finds final.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// The values.
    pub decided: Values,
    votes: [Option<Value>; VIEWS_MAX],
    commits: [Option<Value>; VIEWS_MAX],
}

impl Verdict {
    /// Whether the acceptor has said all that the replica would say.
    pub fn is_of(&self, acceptor: &Acceptor) -> bool {
        let within = |mine: &[Option<Value>], said: &[Option<Value>]| {
            mine.iter().zip(said).all(|(mine, said)| mine.is_none() || mine == said)
        };
        within(&self.votes, &acceptor.votes) && within(&self.commits, &acceptor.commits)
    }
}

impl Acceptor {
    /// At the first start.
    pub fn new(id: u8) -> Self {
        let none = [None; VIEWS_MAX];
        let (entry, shown, heard) = (Some(Entry::Free), Shown::default(), [[0; 2]; VIEWS_MAX]);
        Acceptor { id, view: 0, entry, votes: none, commits: none, shown, heard }
    }

    /// Its vote in a view.
    pub fn vote(&self, view: u8) -> Option<Value> {
        self.votes.get(usize::from(view)).copied().flatten()
    }

    /// Its COMMIT in a view.
    pub fn commit(&self, view: u8) -> Option<Value> {
        self.commits.get(usize::from(view)).copied().flatten()
    }

    /// What others can see of it.
    pub fn visible(self) -> Self {
        Acceptor { heard: [[0; 2]; VIEWS_MAX], ..self }
    }

    /// It is shown a NEW-VIEW, or none, and a proposal, or none.
    pub fn enter(
        self,
        world: &World,
        life: &Life,
        new_view: Option<VerifiedMessage>,
        proposal: Option<Value>,
    ) -> Outcome {
        self.act(world, life, |running| {
            let now = moment(self.view, 1);
            new_view.into_iter().for_each(|message| running.receive(now, message));
            if running.said.wrong.is_none()
                && let Some(value) = proposal
            {
                running.receive(now, world.proposal(self.view, value));
            }
        })
    }

    /// It hears PREPAREs of others for a value, and leaves its view.
    pub fn leave(self, world: &World, life: &Life, heard: Option<(u8, Value, &[u8])>) -> Outcome {
        let mut listener = self;
        if let Some((view, value, signers)) = heard
            && let Some(masks) = listener.heard.get_mut(usize::from(view))
        {
            masks[value as usize] = signers.iter().fold(masks[value as usize], |mask, by| mask | 1 << by);
        }
        listener.act(world, life, |running| {
            let (view, value, signers) = heard.unwrap_or((0, Value::A, &[]));
            for by in signers {
                running.receive(moment(self.view, 2), world.prepare(*by, view, value));
            }
            if running.replica.view().0 == u64::from(self.view) {
                let timer = if running.replica.is_active() { Timer::Idle } else { Timer::NewView };
                running.hear_everybody(moment(self.view, 3));
                running.hear(moment(self.view, 3), Input::Timer(timer));
            }
        })
    }

    /// What it would find final if it heard these votes too, and what it would have to say then.
    ///
    /// **Errors**: what it should not do at them.
    pub fn judge(self, world: &World, life: &Life, votes: Vec<VerifiedMessage>) -> Result<Verdict, Wrong> {
        let said = catch_unwind(AssertUnwindSafe(|| {
            let mut running = Running::replay(world, self.id, life);
            votes.into_iter().for_each(|message| running.receive(moment(self.view, 3), message));
            running.said
        }));
        let Ok(said) = said else { return Err(Wrong::Panicked) };
        let mut after = self;
        match said.wrong.or(after.take_votes(&said)).or(after.take_commits(&said)) {
            Some(wrong) => Err(wrong),
            None => Ok(Verdict { decided: said.decided, votes: after.votes, commits: after.commits }),
        }
    }

    fn act(self, world: &World, life: &Life, deed: impl FnOnce(&mut Running<'_>)) -> Outcome {
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut running = Running::replay(world, self.id, life);
            deed(&mut running);
            (running.said, running.life, running.replica.view().0, running.replica.is_active())
        }));
        let Ok((said, life, view, active)) = done else {
            let wrong = Some(Wrong::Panicked);
            return Outcome {
                acceptor: self,
                life: life.clone(),
                view_change: None,
                wrong,
                took_new_view: false,
            };
        };
        let mut next = self;
        let wrong = said.wrong.or(next.take_votes(&said)).or(next.take_commits(&said));
        if view == u64::from(self.view) {
            next.entry = active.then(|| {
                next.entry.unwrap_or(match next.vote(self.view) {
                    Some(value) if said.entered.is_some() => Entry::Forced(value),
                    _ => Entry::Free,
                })
            });
        } else {
            next.view = self.view + 1;
            next.entry = None;
        }
        if let Some(signed) = &said.view_change {
            next.shown = shown(world, &signed.body);
        }
        let took_new_view = said.entered == Some(self.view);
        Outcome { acceptor: next, life, view_change: said.view_change, wrong, took_new_view }
    }

    fn take_votes(&mut self, said: &Said) -> Option<Wrong> {
        for (view, value) in &said.votes {
            let slot = self.votes.get_mut(usize::from(*view))?;
            if *view != self.view {
                return Some(Wrong::VotedOutOfView);
            }
            if slot.is_some_and(|voted| voted != *value) {
                return Some(Wrong::VotedTwice);
            }
            *slot = Some(*value);
        }
        None
    }

    fn take_commits(&mut self, said: &Said) -> Option<Wrong> {
        for (view, value) in &said.commits {
            let slot = self.commits.get_mut(usize::from(*view))?;
            if slot.is_some_and(|committed| committed != *value) {
                return Some(Wrong::CommittedTwice);
            }
            *slot = Some(*value);
        }
        None
    }
}

/// What a VIEW-CHANGE says of the slot.
fn shown(world: &World, view_change: &ViewChange) -> Shown {
    let Some(report) = view_change.reports.first() else { return Shown::default() };
    let narrow = |view: u64| u8::try_from(view).unwrap_or(u8::MAX);
    Shown {
        vote: report.last_vote.and_then(|vote| Some((narrow(vote.view.0), world.value(&vote.digest)?))),
        certificate: report.prepared.as_ref().and_then(|certificate| world.read(&certificate.body.0)),
    }
}
