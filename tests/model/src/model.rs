//! The model: which steps there are, and what comes of each. The checker asks for all of them.
//!
//! A view has two stages. In the first, one acceptor after the other enters it (by any of the NEW-VIEWs that a liar can make, or by none) and
//! is shown a proposal, or none. In the second, one after the other hears votes, or none, and leaves. The order of the acceptors
//! within a stage makes no difference: what they do in it depends only on what was said in earlier stages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use carat_consensus::planted;
use carat_types::genesis::Trust;
use carat_types::message::{Signed, ViewChange};
use stateright::{Model, Property};

use crate::acceptor::{Acceptor, Entry, Life, Outcome, Shown, Verdict, Wrong};
use crate::bugs::Laxness;
use crate::judge;
use crate::liar::{Member, Proof, new_views, signed, voters};
use crate::world::{LIAR, Value, Values, World};

/// The two stages of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Acceptors enter and vote.
    Entering,
    /// Acceptors hear votes and leave.
    Leaving,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The view that is being played; the number of views at the end.
    pub view: u8,
    /// Its stage.
    pub stage: Stage,
    /// The correct acceptors. Those that are still to act in this stage are as they were at its beginning.
    pub acceptors: Vec<Acceptor>,
    /// The correct acceptors at the beginning of the stage.
    pub before: Vec<Acceptor>,
    /// Whose turn it is.
    pub turn: u8,
    /// The values that a proposer signed.
    pub proposed: Values,
    /// The values that somebody found final.
    pub decided: Values,
    /// Whether a NEW-VIEW can be made that does not keep a value that was final before.
    pub loses: bool,
    /// What a correct acceptor did and should not have done.
    pub wrong: Option<Wrong>,
}

/// PREPAREs of `count` others for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hearing {
    /// Their view.
    pub view: u8,
    /// Their value.
    pub value: Value,
    /// How many.
    pub count: usize,
}

/// What the acceptor whose turn it is does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Enters and votes.
    Enter {
        /// By a NEW-VIEW with this answer.
        new_view: Option<Entry>,
        /// It is shown this proposal.
        proposal: Option<Value>,
    },
    /// Leaves.
    Leave {
        /// After hearing this.
        heard: Option<Hearing>,
    },
}

/// What became of an acceptor, and what was wrong with it.
type Step = (Acceptor, Option<Wrong>);

/// A NEW-VIEW by what the choice can depend on.
type Essence = (u8, Vec<(u8, Shown, Option<Proof>, bool)>);

/// How a replica took a NEW-VIEW; none if it refused it.
type Probe = Result<Option<Entry>, Wrong>;

/// A replica that hears these PREPAREs and COMMITs for a view's value.
type Hearer = (Acceptor, (u8, Value), Vec<u8>, Vec<u8>);

/// What was worked out before: each step of each acceptor is played once.
#[derive(Debug, Default)]
struct Known {
    lives: BTreeMap<Acceptor, Life>,
    view_changes: BTreeMap<Acceptor, Arc<Signed<ViewChange>>>,
    steps: BTreeMap<(Acceptor, Action, Vec<u8>), Step>,
    probes: BTreeMap<Essence, Probe>,
    judgements: BTreeMap<Hearer, Result<Verdict, Wrong>>,
    choices: BTreeMap<(u8, Vec<Acceptor>), Arc<Choices>>,
}

/// The NEW-VIEWs of a view that acceptors take.
#[derive(Debug, Default)]
struct Choices {
    /// The answers that they can have, each with a set of VIEW-CHANGEs that gives it.
    answers: BTreeMap<Entry, Vec<Member>>,
    /// What an acceptor should not have done at one of them.
    wrong: Option<Wrong>,
}

impl Choices {
    /// Whether a NEW-VIEW can be made that does not keep these values.
    fn lose(&self, decided: Values) -> bool {
        self.answers.keys().any(|entry| !matches!(entry, Entry::Forced(value) if decided.contains(*value)))
    }
}

/// The model.
#[derive(Debug)]
pub struct Slot {
    world: World,
    views: u8,
    bug: &'static str,
    laxness: Laxness,
    known: Mutex<Known>,
}

impl Slot {
    /// One slot over so many views, with a bug of the core switched on (none if it has no name).
    pub fn new(trust: Trust, views: u8, bug: &'static str, laxness: Laxness) -> Self {
        let world = World::new(trust);
        let lives = world.correct().map(|id| (Acceptor::new(id), Life::new())).collect();
        let known = Mutex::new(Known { lives, ..Known::default() });
        Slot { world, views, bug, laxness, known }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All answers that a NEW-VIEW of the state's view can have.
    fn choices(&self, known: &mut Known, view: u8, left: &[Acceptor]) -> Arc<Choices> {
        let key = (view, left.to_vec());
        if let Some(choices) = known.choices.get(&key) {
            return Arc::clone(choices);
        }
        let mut choices = Choices::default();
        for members in new_views(&self.world, view, left) {
            match self.probe(known, view, left, &members) {
                Ok(Some(entry)) => {
                    choices.answers.entry(entry).or_insert(members);
                }
                Ok(None) => {}
                Err(wrong) => choices.wrong = choices.wrong.or(Some(wrong)),
            }
        }
        let choices = Arc::new(choices);
        known.choices.insert(key, Arc::clone(&choices));
        choices
    }

    /// What a replica makes of a NEW-VIEW; none if it refuses it.
    fn probe(&self, known: &mut Known, view: u8, left: &[Acceptor], members: &[Member]) -> Probe {
        let essence = (view, members.iter().map(Member::essence).collect());
        if let Some(probe) = known.probes.get(&essence) {
            return *probe;
        }
        let acceptor = left[0];
        let outcome = self.enter(known, acceptor, view, left, Some(members), None);
        let entry = outcome.took_new_view.then_some(outcome.acceptor.entry).flatten();
        let probe = outcome.wrong.map_or(Ok(entry), Err);
        known.probes.insert(essence, probe);
        probe
    }

    fn enter(
        &self,
        known: &Known,
        acceptor: Acceptor,
        view: u8,
        left: &[Acceptor],
        members: Option<&[Member]>,
        proposal: Option<Value>,
    ) -> Outcome {
        let new_view = members.map(|members| {
            let sent = |acceptor: &Acceptor| Arc::clone(&known.view_changes[acceptor]);
            let view_changes = signed(&self.world, self.laxness, view, members, left, sent);
            self.world.new_view(view, view_changes)
        });
        acceptor.enter(&self.world, &known.lives[&acceptor], new_view, proposal)
    }

    /// Plays a step, or remembers how it went.
    fn step(&self, known: &mut Known, state: &State, action: Action) -> Step {
        let acceptor = state.acceptors[usize::from(state.turn)];
        let voters = match action {
            Action::Leave { heard: Some(Hearing { view, value, count }) } => {
                self.others(state, acceptor.id, view, value).take(count).collect()
            }
            _ => Vec::new(),
        };
        let key = (acceptor, action, voters);
        if let Some(done) = known.steps.get(&key) {
            return *done;
        }
        let outcome = match action {
            Action::Enter { new_view, proposal } => {
                let choices = new_view.map(|entry| (entry, self.choices(known, state.view, &state.before)));
                let members = choices.as_ref().map(|(entry, choices)| choices.answers[entry].as_slice());
                self.enter(known, acceptor, state.view, &state.before, members, proposal)
            }
            Action::Leave { heard } => {
                let heard = heard.map(|Hearing { view, value, .. }| (view, value, key.2.as_slice()));
                acceptor.leave(&self.world, &known.lives[&acceptor], heard)
            }
        };
        let Outcome { acceptor: next, life, view_change, wrong, .. } = outcome;
        known.lives.entry(next).or_insert(life);
        if let Some(view_change) = view_change {
            known.view_changes.entry(next).or_insert(view_change);
        }
        known.steps.insert(key, (next, wrong));
        (next, wrong)
    }

    /// Whether it would have been the same to hear one vote less: then that is what is explored (reduction 2).
    fn is_idle(&self, known: &mut Known, state: &State, action: Action, done: &Step) -> bool {
        let Action::Leave { heard: Some(heard) } = action else { return false };
        let less = (heard.count > 1).then_some(Hearing { count: heard.count - 1, ..heard });
        let (acceptor, wrong) = self.step(known, state, Action::Leave { heard: less });
        (acceptor.visible(), wrong) == (done.0.visible(), done.1)
    }

    /// The others whose PREPAREs for a value can be heard; correct ones first.
    fn others(&self, state: &State, listener: u8, view: u8, value: Value) -> impl Iterator<Item = u8> {
        let liar = (self.world.liars() > 0).then_some(LIAR);
        voters(&state.before, view, value).filter(move |by| *by != listener).chain(liar)
    }

    /// The next acceptor's turn, the next stage, or the next view.
    fn turn(&self, known: &mut Known, mut state: State) -> State {
        state.turn += 1;
        if usize::from(state.turn) < state.acceptors.len() {
            return state;
        }
        state.turn = 0;
        if state.stage == Stage::Entering {
            state.stage = Stage::Leaving;
            state.before.clone_from(&state.acceptors);
            return state;
        }
        self.judge(known, &mut state);
        state.stage = Stage::Entering;
        state.view += 1;
        state.before.clone_from(&state.acceptors);
        if state.view < self.views && state.wrong.is_none() {
            let choices = self.choices(known, state.view, &state.before);
            state.loses = !state.decided.is_empty() && choices.lose(state.decided);
            state.wrong = choices.wrong;
        }
        state
    }

    /// What was decided in the view that ends: by all votes that were cast, and by each replica that hears them, in its view or
    /// after it.
    fn judge(&self, known: &mut Known, state: &mut State) {
        for value in Value::ALL {
            if judge::decided(&self.world, state.view + 1, &state.acceptors).contains(value) {
                state.decided = state.decided.with(value);
            }
        }
        let liar = (self.world.liars() > 0).then_some(LIAR);
        for (view, value) in (0..=state.view).flat_map(|view| Value::ALL.map(|value| (view, value))) {
            let committers = state.acceptors.iter().filter(|a| a.commit(view) == Some(value)).map(|a| a.id);
            let commits: Vec<u8> = committers.chain(liar).collect();
            let prepares: Vec<u8> = voters(&state.acceptors, view, value).chain(liar).collect();
            if prepares.len() == self.world.liars() && commits.len() == self.world.liars() {
                continue;
            }
            for (listener, now) in
                state.before.iter().chain(&state.acceptors).zip(state.acceptors.iter().cycle())
            {
                for prepares in [prepares.as_slice(), &[]] {
                    match self.listen(known, *listener, (view, value), prepares, &commits) {
                        // What it would say is said: so this can have happened.
                        Ok(verdict) if verdict.is_of(now) => {
                            let found =
                                Value::ALL.into_iter().filter(|value| verdict.decided.contains(*value));
                            state.decided = found.fold(state.decided, Values::with);
                        }
                        Ok(_) => {}
                        Err(wrong) => state.wrong = state.wrong.or(Some(wrong)),
                    }
                }
            }
        }
    }

    /// What a replica decides if it hears these votes, each of them twice.
    fn listen(
        &self,
        known: &mut Known,
        listener: Acceptor,
        ballot: (u8, Value),
        prepares: &[u8],
        commits: &[u8],
    ) -> Result<Verdict, Wrong> {
        let key = (listener, ballot, prepares.to_vec(), commits.to_vec());
        if let Some(judgement) = known.judgements.get(&key) {
            return *judgement;
        }
        let (view, value) = ballot;
        let others = |by: &&u8| **by != listener.id;
        let twice = |by: &u8| [*by; 2];
        let prepares = prepares.iter().filter(others).flat_map(twice);
        let commits = commits.iter().filter(others).flat_map(twice);
        let votes = prepares
            .map(|by| self.world.prepare(by, view, value))
            .chain(commits.map(|by| self.world.commit(by, view, value)));
        let judgement = listener.judge(&self.world, &known.lives[&listener], votes.collect());
        known.judgements.insert(key, judgement);
        judgement
    }

    fn entrances(&self, state: &State, actions: &mut Vec<Action>) {
        let proposals = [None, Some(Value::A), Some(Value::B)];
        if state.view == 0 {
            // Acceptors are alike before they have done anything: their proposals may be sorted.
            let before =
                state.turn.checked_sub(1).and_then(|last| state.acceptors[usize::from(last)].vote(0));
            let sorted = proposals.into_iter().filter(|proposal| *proposal >= before);
            return actions.extend(sorted.map(|proposal| Action::Enter { new_view: None, proposal }));
        }
        let choices = self.choices(&mut self.known(), state.view, &state.before);
        let new_views = std::iter::once(None).chain(choices.answers.keys().copied().map(Some));
        for new_view in new_views {
            actions.extend(proposals.map(|proposal| Action::Enter { new_view, proposal }));
        }
    }

    fn exits(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Leave { heard: None });
        if self.world.trust() == Trust::Crash {
            // No certificate is kept and no COMMIT sent: what is heard changes nothing.
            return;
        }
        let listener = state.acceptors[usize::from(state.turn)].id;
        for view in 0..=state.view {
            for value in Value::ALL {
                let others = self.others(state, listener, view, value).count();
                let hearings = (1..=others).map(|count| Some(Hearing { view, value, count }));
                actions.extend(hearings.map(|heard| Action::Leave { heard }));
            }
        }
    }
}

impl Model for Slot {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let acceptors: Vec<Acceptor> = self.world.correct().map(Acceptor::new).collect();
        vec![State {
            view: 0,
            stage: Stage::Entering,
            before: acceptors.clone(),
            acceptors,
            turn: 0,
            proposed: Values::default(),
            decided: Values::default(),
            loses: false,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        planted::choose(self.bug);
        if state.view >= self.views || state.wrong.is_some() {
            return;
        }
        match state.stage {
            Stage::Entering => self.entrances(state, actions),
            Stage::Leaving => self.exits(state, actions),
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        planted::choose(self.bug);
        let mut next = state.clone();
        if let Action::Enter { proposal: Some(value), .. } = action {
            next.proposed = next.proposed.with(value);
        }
        let known = &mut *self.known();
        let done = self.step(known, state, action);
        if self.is_idle(known, state, action, &done) {
            return None;
        }
        let (acceptor, wrong) = done;
        next.acceptors[usize::from(state.turn)] = acceptor;
        next.wrong = wrong;
        Some(if wrong.is_some() { next } else { self.turn(known, next) })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("agreement: no two values are final", |_, state: &State| {
                state.decided.len() <= 1
            }),
            Property::always("validity: what is final was proposed", |_, state: &State| {
                state.decided.is_within(state.proposed)
            }),
            Property::always("one certificate a view", |model: &Self, state: &State| {
                !judge::has_two_certificates(&model.world, model.views, &state.acceptors)
            }),
            Property::always("a COMMIT has a certificate behind it", |model: &Self, state: &State| {
                judge::commits_are_prepared(&model.world, model.views, &state.acceptors)
            }),
            Property::always("what is final is what every later view must keep", |_, state: &State| {
                !state.loses
            }),
            Property::always("no correct acceptor breaks its rules", |_, state: &State| {
                state.wrong.is_none()
            }),
            Property::sometimes("a value becomes final", |_, state: &State| !state.decided.is_empty()),
            Property::sometimes("both values have votes", |_, state: &State| {
                let has =
                    |value| (0..=state.view).any(|v| voters(&state.acceptors, v, value).next().is_some());
                Value::ALL.into_iter().all(has)
            }),
        ]
    }
}
