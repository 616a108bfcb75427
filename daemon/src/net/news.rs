//! Gossip of `News` frames, and of nothing else: one topic, small messages, no author.
//!
//! Messages are neither signed nor numbered: the frame inside is sealed and authenticated by
//! members, and a signature by the transport key would tell strangers who said it first. Nothing
//! is forwarded before the consumer has validated it.

use std::{collections::HashSet, io, time::Duration};

use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, IdentityTransform, Message, MessageAuthenticity, MessageId,
    PublishError, ValidationMode, WhitelistSubscriptionFilter,
};
use sha2::{Digest as _, Sha256};

/// The gossip behaviour.
pub(super) type Behaviour = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Longest message on the wire, in bytes.
const WIRE_BYTES_MAX: usize = 4_096;

/// Messages that may wait for one peer. // guess
const QUEUED_MAX: usize = 64;

pub(super) fn topic() -> IdentTopic {
    IdentTopic::new("huza/news/1")
}

/// Takes part in the topic.
pub(super) fn behaviour() -> io::Result<Behaviour> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(id)
        .max_transmit_size(WIRE_BYTES_MAX)
        .max_control_message_size(WIRE_BYTES_MAX)
        .max_publish_messages(QUEUED_MAX)
        .max_control_messages_sent(QUEUED_MAX)
        .connection_handler_queue_len(QUEUED_MAX)
        // Contacts are short: five seconds would be a quarter of one.
        .heartbeat_initial_delay(Duration::from_secs(1))
        .build()
        .map_err(io::Error::other)?;
    // Whoever subscribes to other topics is not listened to.
    let filter = WhitelistSubscriptionFilter(HashSet::from([topic().hash()]));
    let mut behaviour = gossipsub::Behaviour::new_with_subscription_filter(
        MessageAuthenticity::Anonymous,
        config,
        filter,
    )
    .map_err(io::Error::other)?;
    behaviour.subscribe(&topic()).map_err(io::Error::other)?;
    Ok(behaviour)
}

/// Publishes, quietly: gossip is a hint, and mostly there is nobody to tell.
pub(super) fn publish(behaviour: &mut Behaviour, bytes: Vec<u8>) {
    match behaviour.publish(topic(), bytes) {
        Ok(_) | Err(PublishError::NoPeersSubscribedToTopic | PublishError::Duplicate) => {}
        Err(error) => tracing::debug!(%error, "news not published"),
    }
}

/// Messages have no author and number to be known by, so their content is their id.
fn id(message: &Message) -> MessageId {
    MessageId::new(&Sha256::digest(&message.data))
}
