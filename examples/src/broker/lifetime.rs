//! When a queue is deleted.

use amqp1_engine::{container::Link, types::LifetimePolicy};

/// How long a queue lives.
#[derive(Debug)]
pub(super) struct Lifetime {
    policy: LifetimePolicy,
    /// The link that had it made, while that lives.
    owner: Option<Link>,
}

impl Lifetime {
    /// That of a queue that anybody may name: it is there while there are messages in it or links to it.
    pub(super) const USED: Self = Self { policy: LifetimePolicy::DeleteOnNoLinksOrMessages, owner: None };

    /// That of a queue made for a link (§3.5.9).
    pub(super) const fn made_for(owner: Link, policy: LifetimePolicy) -> Self {
        Self { policy, owner: Some(owner) }
    }

    /// A link is gone.
    pub(super) fn leave(&mut self, link: Link) {
        self.owner = self.owner.filter(|owner| *owner != link);
    }

    /// Whether the queue is to be deleted now that it has so many links and messages. It lives at least as long as the link
    /// that had it made.
    //= 3.5.9-01
    pub(super) const fn is_over(&self, links: usize, messages: usize) -> bool {
        self.owner.is_none() && is_due(self.policy, links, messages)
    }
}

/// What the policies say of a queue whose owner is gone.
const fn is_due(policy: LifetimePolicy, links: usize, messages: usize) -> bool {
    match policy {
        //= 3.5.10-01
        LifetimePolicy::DeleteOnClose => true,
        //= 3.5.11-01
        LifetimePolicy::DeleteOnNoLinks => links == 0,
        //= 3.5.12-01
        LifetimePolicy::DeleteOnNoMessages => messages == 0,
        //= 3.5.13-01
        LifetimePolicy::DeleteOnNoLinksOrMessages => links == 0 && messages == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= 3.5.10-01 3.5.11-01 3.5.12-01 3.5.13-01
    #[test]
    fn each_policy_has_its_moment() {
        // Without links and messages, with a link, with a message, with both.
        let moments = [(0, 0), (1, 0), (0, 1), (1, 1)];
        for (policy, expected) in [
            (LifetimePolicy::DeleteOnClose, [true; 4]),
            (LifetimePolicy::DeleteOnNoLinks, [true, false, true, false]),
            (LifetimePolicy::DeleteOnNoMessages, [true, true, false, false]),
            (LifetimePolicy::DeleteOnNoLinksOrMessages, [true, false, false, false]),
        ] {
            assert_eq!(
                moments.map(|(links, messages)| is_due(policy, links, messages)),
                expected,
                "{policy:?}"
            );
        }
    }
}
