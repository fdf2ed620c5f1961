output "layer_arn" {
  description = "For a function's `layers`"
  value       = aws_lambda_layer_version.telemetry.arn
}

output "environment" {
  description = "To be merged into a function's `environment`"
  value = {
    AWS_LAMBDA_EXEC_WRAPPER = "/opt/zespan/wrapper"
    ZESPAN_API_KEY_SECRET   = "ssm:${var.api_key_parameter}"
  }
}
