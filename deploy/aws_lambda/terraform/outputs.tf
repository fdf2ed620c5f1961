output "layers" {
  description = "For a function's `layers`; empty without a zip"
  value       = aws_lambda_layer_version.telemetry[*].arn
}

output "environment" {
  description = "To be merged into a function's `environment`"
  value = merge(
    { ZESPAN_API_KEY_SECRET = "ssm:${var.api_key_parameter}" },
    var.layer_zip == null ? {} : { AWS_LAMBDA_EXEC_WRAPPER = "/opt/zespan/wrapper" },
  )
}
