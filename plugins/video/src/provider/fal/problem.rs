//! Why fal made no film: what happened, whether another try helps, and what can be recovered.

use sublane_sdk::Failure;

use super::answers::Job;

/// Why there is no film. Each is known by its word, and names the job and the place where somebody
/// who has the key can look for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// The job was not taken, and will not be.
    #[error("fal did not take it: {why}")]
    NotTaken { why: String },
    /// Nobody took it, or nobody knows.
    #[error("fal could not be reached: {why}")]
    NotReached { why: String },
    /// A checker refused the prompt.
    #[error("a checker of fal's refused the prompt: {why} (job {job})")]
    Refused { job: String, why: String },
    /// The model failed.
    #[error("the model failed: {why} (job {job})")]
    Failed { job: String, why: String, is_retryable: bool },
    /// The job is not there any more.
    #[error("fal knows nothing of the job any more (job {job}, {url})")]
    Vanished { job: String, url: String },
    /// The film is done, and its link leads nowhere any more.
    #[error("the film was made, and its link has expired (job {job}, {url})")]
    Expired { job: String, url: String },
    /// It took longer than this run may.
    #[error("it was not done in time, and is cancelled (job {job}, {url})")]
    TimedOut { job: String, url: String },
    /// What came is no film, or too large a one.
    #[error("what came is no film that can be kept: {why} (job {job}, {url})")]
    Unusable { job: String, url: String, why: String },
    /// Fal does not say any more how it is.
    #[error("fal says nothing of the job that can be used: {why} (job {job}, {url})")]
    Lost { job: String, url: String, why: String },
    /// This host does not go on.
    #[error("{why}")]
    Host { why: String },
}

impl Problem {
    /// An answer about a job that cannot be used.
    pub(super) fn lost(job: &Job, why: String) -> Self {
        Self::Lost { job: job.id.clone(), url: job.status_url.clone(), why }
    }

    /// Its word.
    fn word(&self) -> &'static str {
        match self {
            Self::NotTaken { .. } => "not-taken",
            Self::NotReached { .. } => "not-reached",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Vanished { .. } => "vanished",
            Self::Expired { .. } => "expired",
            Self::TimedOut { .. } => "timed-out",
            Self::Unusable { .. } => "unusable",
            Self::Lost { .. } => "lost",
            Self::Host { .. } => "host",
        }
    }

    /// Whether the same film may be made another time.
    fn is_retryable(&self) -> bool {
        match self {
            Self::NotReached { .. } | Self::Vanished { .. } | Self::TimedOut { .. } => true,
            Self::Failed { is_retryable, .. } => *is_retryable,
            _ => false,
        }
    }

    pub(super) fn into_failure(self, name: &str) -> Failure {
        let failure =
            Failure::new(format!("The film “{name}” could not be made: {self}. [fal: {}]", self.word()));
        if self.is_retryable() { failure } else { failure.permanent() }
    }
}
