//! Durations as people write and read them.

use std::time::Duration;

/// `duration` for people: `0.4s`, `12s`, `1m30s`.
#[must_use]
pub fn friendly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => {
            let tenths = duration.as_millis().div_ceil(100);
            if tenths.is_multiple_of(10) {
                format!("{}s", tenths / 10)
            } else {
                format!("{}.{}s", tenths / 10, tenths % 10)
            }
        }
        10..60 => format!("{seconds}s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_length() {
        for (millis, text) in [
            (0, "0s"),
            (40, "0.1s"),
            (400, "0.4s"),
            (2000, "2s"),
            (59_900, "59s"),
            (90_000, "1m30s"),
            (7_260_000, "2h01m"),
        ] {
            assert_eq!(friendly(Duration::from_millis(millis)), text);
        }
    }
}
