//! Names in place of ids that differ from play to play: the first is 1, the second is 2.

use std::collections::HashMap;

use doorward_core::{SessionId, UserId};
use uuid::Uuid;

use crate::flow::{Fact, Flow, Seen};

/// The names of one column.
#[derive(Default)]
pub(super) struct Names {
    ids: HashMap<[u8; 16], u128>,
    keys: Vec<String>,
}

impl Names {
    /// Renames everything in the flow; `id` is its own name.
    pub(super) fn rename(&mut self, flow: &mut Flow, id: String) {
        flow.id = id;
        // Of a keyed hash under a random key, nothing can be equal.
        flow.story.address = None;
        for fact in flow.steps.iter_mut().flat_map(|step| &mut step.facts) {
            self.rename_in(fact);
        }
        flow.story.user = flow.story.user.map(|user| self.user(user));
        flow.story.session = flow.story.session.map(|session| self.session(session));
    }

    fn rename_in(&mut self, fact: &mut Fact) {
        match fact {
            Fact::Id { id, .. } => *id = Uuid::from_bytes(self.id(id.as_bytes())),
            Fact::Claims(claims) => {
                claims.user = self.user(claims.user);
                claims.session = self.session(claims.session);
                claims.key = self.key(&claims.key);
            }
            Fact::Foreign(foreign) => foreign.key = foreign.key.as_ref().map(|key| self.key(key)),
            _ => {}
        }
    }

    fn user(&mut self, id: UserId) -> UserId {
        UserId::from_bytes(self.id(id.as_bytes()))
    }

    fn session(&mut self, id: SessionId) -> SessionId {
        SessionId::from_bytes(self.id(id.as_bytes()))
    }

    fn id(&mut self, id: &[u8; 16]) -> [u8; 16] {
        let next = self.ids.len() as u128 + 1;
        self.ids.entry(*id).or_insert(next).to_be_bytes()
    }

    fn key(&mut self, key: &Seen) -> Seen {
        let place = self.keys.iter().position(|known| known == key.as_str()).unwrap_or_else(|| {
            self.keys.push(key.as_str().to_owned());
            self.keys.len() - 1
        });
        Seen::new(&format!("key-{}", place + 1))
    }
}
