//! What the tests of channels and of the outbox share.

use sublane_core::delivery::{DeliveryData, DeliveryState};
use sublane_core::{ConversationId, Delivery, DeliveryBody, DeliveryId, RunId, Timestamp};

/// The body of a message from a run called `film`.
pub(crate) fn body(text: &str) -> DeliveryBody {
    DeliveryBody {
        kind: "run.message".to_owned(),
        timestamp: "2026-11-22T10:00:00.000Z".to_owned(),
        data: DeliveryData {
            run: RunId([1; 16]),
            name: "film".to_owned(),
            agent: "video/render".to_owned(),
            conversation: ConversationId([2; 16]),
            text: text.to_owned(),
            value: serde_json::Value::Null,
            artifacts: Vec::new(),
        },
    }
}

/// A delivery with its first attempt begun.
pub(crate) fn delivery(number: u8, destination: &str, body: &DeliveryBody) -> Delivery {
    Delivery {
        id: DeliveryId([number; 16]),
        run: body.data.run,
        conversation: body.data.conversation,
        destination: destination.parse().expect("a destination"),
        body: body.to_json(),
        state: DeliveryState::Sending,
        attempts: 1,
        next_at: Timestamp(0),
        created: Timestamp(0),
        since: Timestamp(0),
        note: String::new(),
    }
}
