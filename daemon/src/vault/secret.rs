//! Secrets that people type, and the rules for new ones.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Characters of a passphrase at least. // NIST SP 800-63B (2017) 5.1.1.1: 8 for chosen secrets
pub const PASSPHRASE_CHARS_MIN: usize = 8;

/// Digits of a PIN at least. // guess: only with a factor that stays on the device
pub const PIN_DIGITS_MIN: usize = 4;

/// Longest secret, in bytes. // guess: keeps the cost of a guess the cost of Argon2
pub const SECRET_BYTES_MAX: usize = 1_024;

/// Why a secret may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Too short a passphrase.
    #[error("a passphrase has at least {PASSPHRASE_CHARS_MIN} characters; take four random words")]
    ShortPassphrase,
    /// One character repeated.
    #[error("one character repeated is no passphrase; take four random words")]
    OneCharacter,
    /// Not a PIN.
    #[error("a PIN has at least {PIN_DIGITS_MIN} digits, and nothing else")]
    BadPin,
    /// Too long.
    #[error("a secret has {SECRET_BYTES_MAX} bytes at most")]
    TooLong,
}

/// What a person types. Wiped when dropped, never printed; compared only inside the vault.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// This text, exactly: nothing is trimmed or normalised.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn check_passphrase(&self) -> Result<(), SecretError> {
        let mut chars = self.0.chars();
        let first = chars.next();
        if self.0.len() > SECRET_BYTES_MAX {
            Err(SecretError::TooLong)
        } else if self.0.chars().count() < PASSPHRASE_CHARS_MIN {
            Err(SecretError::ShortPassphrase)
        } else if chars.all(|next| Some(next) == first) {
            Err(SecretError::OneCharacter)
        } else {
            Ok(())
        }
    }

    fn check_pin(&self) -> Result<(), SecretError> {
        let digits = self.0.bytes().all(|byte| byte.is_ascii_digit());
        match self.0.len() {
            len if len > SECRET_BYTES_MAX => Err(SecretError::TooLong),
            len if digits && len >= PIN_DIGITS_MIN => Ok(()),
            _ => Err(SecretError::BadPin),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    /// For the local door only: the socket is its owner's alone.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// What shall open a slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewSecret {
    /// A passphrase.
    Passphrase(Secret),
    /// A PIN, together with the keystore's factor.
    Pin(Secret),
    /// Nothing: the key lies in the vault in the clear. For demonstrations, and for servers whose
    /// whole disk is encrypted.
    Open,
}

impl NewSecret {
    /// Whether it may be used.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn check(&self) -> Result<(), SecretError> {
        match self {
            Self::Passphrase(secret) => secret.check_passphrase(),
            Self::Pin(secret) => secret.check_pin(),
            Self::Open => Ok(()),
        }
    }
}

/// Who wants to unlock, and with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unlock {
    /// The worker; may be left out while there is one only.
    pub worker: Option<String>,
    /// The worker's passphrase or PIN; empty for a slot that is open.
    pub secret: Secret,
}

impl Unlock {
    /// The only worker of the device, with this secret.
    #[must_use]
    pub fn with(secret: &str) -> Self {
        Self { worker: None, secret: Secret::new(secret.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn weak_secrets_are_refused_by_name() {
        let passphrase = |text: &str| NewSecret::Passphrase(secret(text)).check();
        assert_eq!(passphrase("seven77"), Err(SecretError::ShortPassphrase));
        assert_eq!(passphrase("éééé"), Err(SecretError::ShortPassphrase), "characters, not bytes");
        assert_eq!(passphrase("aaaaaaaaaaaa"), Err(SecretError::OneCharacter));
        assert_eq!(passphrase(&"ab".repeat(600)), Err(SecretError::TooLong));
        assert_eq!(passphrase("ibirayi bine"), Ok(()));
        let pin = |text: &str| NewSecret::Pin(secret(text)).check();
        assert_eq!(pin("123"), Err(SecretError::BadPin));
        assert_eq!(pin("12a4"), Err(SecretError::BadPin));
        assert_eq!(pin("0471"), Ok(()));
        assert_eq!(NewSecret::Open.check(), Ok(()));
    }

    #[test]
    fn secrets_are_not_printed() {
        let unlock = Unlock::with("ibirayi bine");
        let new = NewSecret::Pin(secret("0471"));
        let shown = format!("{unlock:?} {new:?}");
        assert!(!shown.contains("ibirayi") && !shown.contains("0471"), "{shown}");
    }
}
