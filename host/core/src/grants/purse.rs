//! The purse: what is spent, and the one way to split it.
//!
//! Nothing is ever created here: what a child holds was taken from its
//! parent, so that a tree never spends more than its root held. The amounts
//! are one table, so that none of them can be forgotten by one of the rules.

use serde::{Deserialize, Serialize};

use super::LimitHit;

macro_rules! amounts {
    ($($(#[doc = $doc:literal])+ $field:ident $limit:literal,)*) => {
        /// What is spent and therefore split. What a child gets is taken from its
        /// parent, and what it leaves comes back when it ends.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Purse {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "is_zero")] pub $field: u64,)*
        }

        /// What a parent asks for its child's purse. Default: half of its guest CPU and of its host
        /// calls, and nothing else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct PurseAsk {
            $($(#[doc = $doc])+ #[serde(default)] pub $field: Share,)*
        }

        impl Purse {
            /// How many amounts there are.
            pub const AMOUNTS: usize = [$($limit),*].len();
            /// Their limits' names, in the order of [`Purse::amounts`].
            pub const LIMITS: [&'static str; Self::AMOUNTS] = [$($limit),*];

            /// All amounts, in the order in which they are stored.
            #[must_use]
            pub fn amounts(&self) -> [u64; Self::AMOUNTS] {
                [$(self.$field),*]
            }

            /// The purse of these amounts.
            #[must_use]
            pub fn from_amounts(amounts: [u64; Self::AMOUNTS]) -> Self {
                let [$($field),*] = amounts;
                Self { $($field),* }
            }
        }

        impl PurseAsk {
            /// Nothing of anything.
            pub const NOTHING: Self = Self { $($field: Share::Nothing),* };

            /// Exactly this.
            #[must_use]
            pub fn exactly(purse: Purse) -> Self {
                Self { $($field: Share::Exactly(purse.$field)),* }
            }

            /// What is asked for of each amount, in the order of [`Purse::amounts`].
            #[must_use]
            pub fn shares(&self) -> [Share; Purse::AMOUNTS] {
                [$(self.$field),*]
            }
        }
    };
}

amounts! {
    /// Guest CPU in microseconds.
    cpu_us "purse.cpu-us",
    /// Runs that may be spawned, in all.
    spawns "purse.spawns",
    /// Bytes of artifacts that may be written.
    artifact_bytes "purse.artifact-bytes",
    /// Calls of host functions.
    host_calls "purse.host-calls",
    /// Requests to other machines.
    requests "purse.requests",
    /// Bytes that requests send.
    bytes_out "purse.bytes-out",
    /// Bytes that their answers bring.
    bytes_in "purse.bytes-in",
    /// Tokens of language models.
    tokens "purse.tokens",
    /// Money in millionths of the operator's currency.
    money_micros "purse.money-micros",
}

/// How much of one amount a child is to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// None of it.
    #[default]
    Nothing,
    /// Half of what the parent has.
    Half,
    /// This much; more than there is, is refused.
    Exactly(u64),
}

impl Share {
    /// What a scope says of an amount that goes with some right: the number that it names, else half
    /// for a child that has the right, else nothing.
    #[must_use]
    pub fn of(named: Option<u64>, has_right: bool) -> Self {
        match (named, has_right) {
            (Some(amount), _) => Self::Exactly(amount),
            (None, true) => Self::Half,
            (None, false) => Self::Nothing,
        }
    }

    /// So much of `held`.
    #[must_use]
    pub fn from(self, held: u64) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Half => held / 2,
            Self::Exactly(amount) => amount,
        }
    }
}

impl Default for PurseAsk {
    fn default() -> Self {
        Self { cpu_us: Share::Half, host_calls: Share::Half, ..Self::NOTHING }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Purse {
    /// Takes a child's purse out of this one; the spawn itself costs one of `spawns`.
    ///
    /// # Errors
    /// [`LimitHit`] names what there is too little of; then nothing was taken. A
    /// child without any guest CPU or host call could not begin.
    pub fn split(&mut self, ask: &PurseAsk) -> Result<Self, LimitHit> {
        self.has(Self { spawns: 1, cpu_us: 1, host_calls: 1, ..Self::default() })?;
        let after = Self { spawns: self.spawns - 1, ..*self };
        let child = Self { spawns: ask.spawns.from(after.spawns), ..ask.of(*self) };
        match after.has(child) {
            Ok(()) => *self = after.each(child, |held, taken| held - taken),
            Err(limit) if limit.which == "purse.spawns" => {
                return Err(LimitHit { value: self.spawns, ..limit });
            }
            Err(limit) => return Err(limit),
        }
        Ok(child)
    }

    /// Takes what was spent; more than there is takes all of it.
    pub fn spend(&mut self, spent: Self) {
        *self = self.each(spent, u64::saturating_sub);
    }

    /// The smaller of the two, part by part.
    #[must_use]
    pub fn at_most(self, ceiling: Self) -> Self {
        self.each(ceiling, u64::min)
    }

    /// Puts back what a child did not spend.
    pub fn give_back(&mut self, rest: Self) {
        *self = self.each(rest, u64::saturating_add);
    }

    /// The first amount of which `wanted` has more, as the limit that it is.
    ///
    /// # Errors
    /// [`LimitHit`]: its name, and what there is of it.
    pub fn has(&self, wanted: Self) -> Result<(), LimitHit> {
        let (held, wanted) = (self.amounts(), wanted.amounts());
        match (0..Self::AMOUNTS).find(|which| wanted[*which] > held[*which]) {
            Some(which) => Err(LimitHit::new(Self::LIMITS[which], held[which])),
            None => Ok(()),
        }
    }

    fn each(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        let (mut amounts, other) = (self.amounts(), other.amounts());
        for (amount, other) in amounts.iter_mut().zip(other) {
            *amount = of(*amount, other);
        }
        Self::from_amounts(amounts)
    }
}

impl PurseAsk {
    /// What is asked for, as amounts of `held`. May be more than that has.
    #[must_use]
    pub fn of(&self, held: Purse) -> Purse {
        let mut amounts = held.amounts();
        for (amount, share) in amounts.iter_mut().zip(self.shares()) {
            *amount = share.from(*amount);
        }
        Purse::from_amounts(amounts)
    }

    /// What is asked for, with all of `held` where no number is named.
    ///
    /// # Errors
    /// [`LimitHit`] names what `held` has too little of.
    pub fn all_within(&self, held: Purse) -> Result<Purse, LimitHit> {
        let (mut amounts, shares) = (held.amounts(), self.shares());
        for (amount, share) in amounts.iter_mut().zip(shares) {
            *amount = if share == Share::Half { *amount } else { share.from(*amount) };
        }
        let wanted = Purse::from_amounts(amounts);
        held.has(wanted).map(|()| wanted)
    }
}
