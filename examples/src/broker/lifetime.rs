//! When a queue is deleted.

use amqp1_engine::{container::Link, types::LifetimePolicy};

/// How long a queue lives.
#[derive(Debug)]
pub(super) struct Lifetime {
    /// None if it lives until somebody says that it is enough.
    policy: Option<LifetimePolicy>,
    /// The link that had it made, while that lives.
    owner: Option<Link>,
}

impl Lifetime {
    /// That of a queue that anybody may name: it is there while there are messages in it or links to it.
    pub(super) const USED: Self = Self::ownerless(LifetimePolicy::DeleteOnNoLinksOrMessages);
    /// That of a subscription that goes with its last link.
    pub(super) const WITH_LINKS: Self = Self::ownerless(LifetimePolicy::DeleteOnNoLinks);
    /// That of a subscription that stays until it is closed.
    //= 3.5.6-04
    pub(super) const UNTIL_CLOSED: Self = Self { policy: None, owner: None };

    const fn ownerless(policy: LifetimePolicy) -> Self {
        Self { policy: Some(policy), owner: None }
    }

    /// That of a queue made for a link (§3.5.9).
    pub(super) const fn made_for(owner: Link, policy: LifetimePolicy) -> Self {
        Self { policy: Some(policy), owner: Some(owner) }
    }

    /// Whether it does not end by itself.
    pub(super) const fn is_until_closed(&self) -> bool {
        self.policy.is_none()
    }

    /// What lives until it is closed is: it goes with its last link.
    pub(super) fn close(&mut self) {
        self.policy.get_or_insert(LifetimePolicy::DeleteOnNoLinks);
    }

    /// A link is gone.
    pub(super) fn leave(&mut self, link: Link) {
        self.owner = self.owner.filter(|owner| *owner != link);
    }

    /// Whether the queue is to be deleted now that it has so many links and messages. It lives at least as long as the link
    /// that had it made.
    //= 3.5.9-01
    pub(super) const fn is_over(&self, links: usize, messages: usize) -> bool {
        match self.policy {
            Some(policy) => self.owner.is_none() && is_due(policy, links, messages),
            None => false,
        }
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

    #[test]
    fn what_lives_until_it_is_closed_then_goes_with_its_last_link() {
        let mut lifetime = Lifetime::UNTIL_CLOSED;
        assert!(lifetime.is_until_closed() && !lifetime.is_over(0, 0));
        lifetime.close();
        assert!(!lifetime.is_until_closed() && !lifetime.is_over(1, 0) && lifetime.is_over(0, 9));
    }
}
