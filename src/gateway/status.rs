//! The gateway's status codes: their numbers, their meaning, what they say of a read.

use std::fmt;

/// The code at the head of every answer. A code that no document lists is kept as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Success.
    pub const OK: Self = Self(100);
    /// The login was refused; repeating it gets the account locked.
    pub const LOGIN_FAILED: Self = Self(101);
    /// The operation failed, for no reason given.
    pub const OPERATION_FAILED: Self = Self(103);
    /// The caller's numbers are too many for one call.
    pub const TOO_MANY_NUMBERS: Self = Self(106);
    /// Asked again too soon.
    pub const TOO_FREQUENT: Self = Self(107);
    /// The number or the content is empty.
    pub const EMPTY: Self = Self(108);
    /// The account is frozen.
    pub const FROZEN: Self = Self(109);
    /// The number is none.
    pub const WRONG_NUMBER: Self = Self(112);
    /// The time to send at is not of the form.
    pub const WRONG_SCHEDULE: Self = Self(113);
    /// The account is locked for ten minutes.
    pub const LOCKED: Self = Self(114);
    /// The interface is closed to the account.
    pub const FORBIDDEN: Self = Self(116);
    /// The request came from an address that the account is not bound to.
    pub const WRONG_ADDRESS: Self = Self(117);

    /// Whether the gateway turned the caller away at the door: nothing was read, and nothing
    /// will be until somebody acts.
    #[must_use]
    pub fn refuses_account(self) -> bool {
        matches!(self, Self::LOGIN_FAILED | Self::FROZEN | Self::FORBIDDEN | Self::WRONG_ADDRESS)
    }

    /// The provider's meaning of the code, in English.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self.0 {
            100 => "success",
            101 => "login failed",
            102 => "out of credit",
            103 => "operation failed",
            104 => "illegal characters",
            105 => "content too long",
            106 => "too many numbers",
            107 => "too frequent",
            108 => "number or content empty",
            109 => "account frozen",
            110 => "no frequent single sends",
            111 => "sending suspended",
            112 => "wrong number",
            113 => "wrong schedule format",
            114 => "account locked, log in after ten minutes",
            115 => "connection failed",
            116 => "sending by interface forbidden",
            117 => "the account is not bound to this address",
            119 => "signature missing",
            120 => "system upgrade",
            _ => "a code that the provider's document does not list",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}
