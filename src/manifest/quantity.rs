//! Amounts of memory: those of Kubernetes, and those of the JVM.

/// Bytes of a Kubernetes quantity such as `2Gi`, `512M`, `1.5e9`
/// (kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity).
pub(super) fn bytes(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 14] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    let (number, unit) = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    let amount = number.parse::<f64>().ok()? * unit;
    (amount.is_finite() && amount > 0.0).then_some(amount)
}

/// Bytes of a JVM size such as `512m`, `2g` (java(1)).
pub(super) fn of_jvm(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1_048_576.0,
        "g" => 1_073_741_824.0,
        "t" => 1_099_511_627_776.0,
        _ => return None,
    };
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<f64>().ok())?.map(|number| number * unit)
}

/// Bytes as a person reads them.
pub(super) fn shown(bytes: f64) -> String {
    let mebibytes = bytes / 1_048_576.0;
    if mebibytes >= 1.0 { format!("{} MiB", mebibytes.round()) } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_and_java_read_them() {
        assert_eq!(bytes("1Gi"), Some(1_073_741_824.0));
        assert_eq!(bytes("1.5G"), Some(1.5e9));
        assert_eq!(bytes("1e9"), Some(1e9));
        assert_eq!(bytes("1E"), Some(1e18));
        assert_eq!(bytes("512m"), Some(0.512));
        for text in ["", "Gi", "1gi", "1 Gi", "inf", "0", "-1", "{{ x }}", "1KB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(of_jvm("2G"), Some(2_147_483_648.0));
        assert_eq!(of_jvm("1024"), Some(1024.0));
        for text in ["", "g", "1.5g", "2gb", "$X", "é"] {
            assert_eq!(of_jvm(text), None, "{text}");
        }
    }
}
