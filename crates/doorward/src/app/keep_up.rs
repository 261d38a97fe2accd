//! Keeping up: with other processes' writes, with time, and with the disk.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use doorward_core::Timestamp;

use super::assemble::expected;
use super::{App, Parts, history};
use crate::acts::{Act, Change, Done};
use crate::agreed::Agreed;
use crate::audit::{Action, By, Entry};
use crate::clock::{Moment, steady};
use crate::look::Look;
use crate::next_look::LEAST;
use crate::revocations::Followed;
use crate::seldom::{self, seldom};
use crate::store::{Follower, StoreError};
use crate::users::rfc3339;
use crate::{agreed, audit, clients, keys, known_devices, posts, roots, sweeps, throttle};

/// How often the tables of revocations and of keys are checked for other processes' writes.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// How long hints are gathered before a look.
const HINT_GAP: Duration = Duration::from_millis(3);
/// How often this process writes that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How often the recorder of flows gets its budget.
const RECORD_EVERY: Duration = Duration::from_millis(250);
/// How often the limits on guesses are written that only memory knows.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often the room on the disk is checked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often expired data is dropped.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long the writer may take to say whether another process wrote; after that, assume it did.
const VERSION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one round of following may take. The next round starts over.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(4);

impl App {
    /// Applies other processes' writes, and the changes that come with time alone.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let at = Moment::now();
        let mut follower = self.store.follower().await?;
        let followed = self.follow_through(&mut follower, at).await;
        if followed.is_err() {
            follower.distrust();
        }
        followed
    }

    async fn follow_through(&self, follower: &mut Follower<'_>, at: Moment) -> Result<(), StoreError> {
        let look = Look::through(follower).await?;
        self.pulse.answered();
        let Followed { mut users, stood_still, was_away, lost_since } =
            self.revocations.follow(&look, at, follower).await?;
        self.clock.hear(look.told);
        if stood_still {
            // Revocations may have come and gone meanwhile.
            self.sessions.memory.forget_all().await;
            self.users.read_all_again();
        }
        if was_away {
            self.note_absence();
        }
        self.take_over_history(look.fact(history::TURNS).unwrap_or_default()).await?;
        self.take_over_set_back(look.fact(history::SET_BACK).unwrap_or_default() > 0);
        users.sort_unstable();
        users.dedup();
        users.iter().for_each(|user| self.users.read_again(*user));
        self.agree(look.fact(agreed::VERSION).unwrap_or_default()).await?;
        self.users.follow(look.fact("users_changed").unwrap_or_default(), follower, self.clock.now()).await?;
        self.clients.follow_to(look.fact(clients::VERSION).unwrap_or_default()).await?;
        self.throttle.follow_to(look.fact(throttle::CLEARED).unwrap_or_default());
        self.roots.put_in_force(look.fact(roots::FINGERPRINT));
        self.keys.follow_to(look.fact(keys::VERSION).unwrap_or_default(), self.clock.now()).await?;
        self.judge_absence().await?;
        self.revocations.followed();
        match lost_since {
            Some(since) => self.recover(look, since),
            None => self.note_whole(),
        }
        Ok(())
    }

    /// Follows what the servers have agreed on.
    async fn agree(&self, version: i64) -> Result<(), StoreError> {
        let known = self.agreed.load();
        if known.version != version {
            let agreed = Agreed::read(&self.store).await?;
            agreed.apply_roles(&self.settings)?;
            agreed.tell(&self.settings);
            self.agreed.store(Arc::new(agreed));
        }
        let expected = expected(&self.settings, &self.agreed.load(), &self.revocations);
        self.keys.verifier().expect(expected);
        Ok(())
    }

    /// Writes back what memory holds and the store has lost, beside everything else.
    fn recover(&self, look: Look, since: Timestamp) {
        let app = self.clone();
        tokio::spawn(async move {
            let now = app.clock.now();
            // Before losses are accepted: if it fails, the next look tries again.
            if let Err(error) = app.judge_loss(SWEEP_EVERY).await {
                return complain(Err(error));
            }
            match app.revocations.heal(&look, now).await {
                Ok(Some(lacked)) => {
                    let (from, to) = (rfc3339(since), rfc3339(now));
                    tracing::error!(
                        lacked,
                        from,
                        to,
                        "the database has lost commits: what memory held of ended sessions was written back; other \
                         changes from that time are lost"
                    );
                    let entry = Entry::of(Action::HistoryLost).detail(format!("{from} to {to}"));
                    let note = async move |_: &mut Change<'_>| -> Result<_, StoreError> {
                        Ok(Done::new((), entry.clone()))
                    };
                    complain(app.acts.commit(Act::new(By::Server, now), note).await);
                }
                Ok(None) => {}
                Err(error) => complain(Err(error)),
            }
        });
    }

    /// Drops what has expired, in memory and in the store; and has the users in memory read again, as another node may
    /// have changed them.
    ///
    /// # Errors
    /// The store's; the next call tries again.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.deletion_time();
        self.origins.sweep(self.clock.ran());
        self.assertions.sweep(self.clock.ran());
        // Read first: if this fails, memory has the only copy.
        self.keys.follow(self.clock.now(), false).await?;
        self.users.read_all_again();
        // Drops the sessions from memory before the revocations that would refuse them.
        self.sessions.memory.sweep(now);
        let revocations = self.revocations.clone();
        // A large set takes a while. A panic there is logged, and the next sweep comes.
        let _ = tokio::task::spawn_blocking(move || revocations.drop_old()).await;
        let mut all = vec![
            keys::expired(now - self.settings.absolute_ttl),
            known_devices::expired(now),
            posts::expired(now),
            throttle::expired(now),
        ];
        let logged = now - self.settings.audit_retention;
        all.extend(audit::expired(logged));
        all.extend(self.revocations.expired(now));
        all.extend(self.sessions.expired(now));
        all.extend(self.contributions.sweeps.iter().map(|expired| expired(now)));
        let days = self.store.keep_days(now, Some(logged)).await;
        sweeps::sweep(&self.store, all).await.and(days)
    }

    /// The time by which data is deleted. A revoked credential stays refused if the clock was far ahead and is set
    /// right. A jump is believed once all tokens from before it have expired (attack J43).
    fn deletion_time(&self) -> Timestamp {
        let (now, ran, span) = (self.clock.now(), self.clock.ran(), self.revocations.remembered_for());
        self.deletion_clock.lock().unwrap_or_else(PoisonError::into_inner).at(now, ran, span)
    }

    /// Follows other processes, sweeps, and feeds this process's followers, until nobody else has this application or
    /// the returned task is aborted.
    pub fn keep_up(&self) -> tokio::task::JoinHandle<()> {
        self.otel.start(&self.flows);
        self.store.start_hints();
        let (app, feed) = (Arc::downgrade(&self.0), self.feed.clone());
        tokio::spawn(async move {
            let sweeping = async {
                let mut sweep = tokio::time::interval(SWEEP_EVERY);
                loop {
                    sweep.tick().await;
                    let Some(app) = app.upgrade().map(Self) else { break };
                    complain(app.sweep().await);
                }
            };
            tokio::select! {
                () = Self::keep_following(&app) => {}
                () = Self::keep_beating(&app) => {}
                () = Self::keep_looking(&app) => {}
                () = Self::keep_recording(&app) => {}
                () = Self::keep_limits(&app) => {}
                () = Self::keep_noting(&app) => {}
                () = sweeping => {}
                never = feed.run() => match never {},
            }
        })
    }

    /// Writes each second that this process lives, on a database that other machines use too.
    async fn keep_beating(app: &Weak<Parts>) {
        let mut beat = tokio::time::interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            if app.store.is_shared() {
                let beaten = app.revocations.beat().await;
                app.pulse.beat(beaten.is_ok());
                if !matches!(beaten, Ok(()) | Err(StoreError::Unavailable(_))) {
                    app.pulse.answered();
                }
                complain(beaten);
                app.tell_clock();
            }
        }
    }

    /// Says that this machine's clock is off, which nothing here depends on.
    fn tell_clock(&self) {
        let ahead = self.clock.ahead();
        if ahead.unsigned_abs() > 5_000_000 {
            let seconds = ahead / 1_000_000;
            seldom!(WARN, "this machine's clock differs from the database's, which counts", %seconds);
        }
    }

    /// Gives the recorder of flows its budget, several times a second.
    async fn keep_recording(app: &Weak<Parts>) {
        let mut tick = tokio::time::interval(RECORD_EVERY);
        loop {
            tick.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            app.flows.tick(app.clock.now(), RECORD_EVERY);
        }
    }

    /// Writes the limits that only memory knows, each second.
    async fn keep_limits(app: &Weak<Parts>) {
        let mut tick = tokio::time::interval(WRITE_EVERY);
        loop {
            tick.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            complain(app.write_limits().await);
        }
    }

    /// Notes what the database has, several times in the span that memory holds.
    async fn keep_noting(app: &Weak<Parts>) {
        let Some(span) = app.upgrade().map(|app| app.revocations.remembered_for()) else { return };
        let mut note = tokio::time::interval((span / 8).clamp(Duration::from_secs(1), SWEEP_EVERY));
        note.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            note.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            complain(app.note_history().await);
            app.tell_set_back();
        }
    }

    /// Checks the disk again and again. On a thread of its own: a disk may hang.
    async fn keep_looking(app: &Weak<Parts>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let Some(app) = app.upgrade().map(Self) else { break };
            app.look_at_the_disk().await;
        }
    }

    /// Checks how much room the disk has.
    pub async fn look_at_the_disk(&self) {
        let app = self.clone();
        // After a panic there, which is logged, the next check comes in a second.
        let _ = tokio::task::spawn_blocking(move || app.disk.look()).await;
        self.disk.tell();
        self.disk.balance(&self.store).await;
    }

    /// Follows other processes' writes, and notes if that fails for long: also if the store doesn't answer at all.
    async fn keep_following(app: &Weak<Parts>) {
        let mut seen = None;
        let mut follow = tokio::time::interval(FOLLOW_EVERY);
        let parts = app.upgrade().map(|app| (app.store.hinted(), app.keys.next_look().clone()));
        let Some((hinted, next)) = parts else { return };
        let mut looked_at = steady();
        loop {
            let asked = async {
                next.wanted().await;
                tokio::time::sleep_until(looked_at + LEAST).await;
            };
            tokio::select! {
                _ = follow.tick() => {}
                () = hinted.notified() => tokio::time::sleep(HINT_GAP).await,
                () = asked => {}
            }
            let Some(app) = app.upgrade().map(Self) else { break };
            looked_at = steady();
            let look = next.begin();
            let silent = || Err(StoreError::Unavailable("no answer in time".into()));
            let in_time = tokio::time::timeout(FOLLOW_TIMEOUT, app.follow_where_changed(&mut seen)).await;
            let followed = in_time.unwrap_or_else(|_| silent());
            match &followed {
                Ok(()) => next.succeeded(look),
                Err(_) => app.revocations.not_followed(),
            }
            complain(followed);
            seldom::write_rest();
            app.sign_ins.write_due(app.clock.ran());
        }
    }

    async fn follow_where_changed(&self, seen: &mut Option<i64>) -> Result<(), StoreError> {
        let at = Moment::now();
        // If the writer is too busy to answer, read all the same.
        let asked = tokio::time::timeout(VERSION_TIMEOUT, self.store.data_version()).await;
        let version = asked.ok().and_then(Result::ok).flatten();
        if version.is_none() || version != *seen {
            self.follow().await?;
            if version.is_some() {
                // Another process wrote, and what it wrote is unknown.
                self.users.read_all_again();
            }
            *seen = version;
        } else {
            self.revocations.nothing_new(at);
        }
        if self.keys.are_due(self.clock.now()) {
            self.keys.follow(self.clock.now(), false).await?;
        }
        Ok(())
    }
}

fn complain(done: Result<(), StoreError>) {
    if let Err(error) = done {
        seldom!(WARN, "could not keep up with the store; trying again", %error);
    }
}
