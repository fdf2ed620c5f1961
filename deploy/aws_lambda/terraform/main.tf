# The layer, if it has a zip, the right to read the key, and an alarm; docs/recipes/terraform.md shows its use.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  place     = "${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"
  parameter = "arn:${data.aws_partition.current.partition}:ssm:${local.place}:parameter${var.api_key_parameter}"
  read_key  = [{ Effect = "Allow", Action = "ssm:GetParameter", Resource = local.parameter }]
  decrypt   = [for key in var.kms_key_arn[*] : { Effect = "Allow", Action = "kms:Decrypt", Resource = key }]
}

resource "aws_lambda_layer_version" "telemetry" {
  count = var.layer_zip == null ? 0 : 1

  layer_name          = var.name
  filename            = var.layer_zip
  source_code_hash    = filebase64sha256(var.layer_zip)
  compatible_runtimes = var.runtimes
  license_info        = "Apache-2.0"
}

resource "aws_iam_role_policy" "read_key" {
  for_each = var.functions

  name   = "${var.name}-read-key-${each.key}"
  role   = each.value.role
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(local.read_key, local.decrypt) })
}

# An event that is given up is counted and logged; the alarm rings when that happens.
resource "aws_cloudwatch_log_metric_filter" "dropped" {
  for_each = var.functions

  name           = "${var.name}-dropped-${each.key}"
  log_group_name = each.value.log_group
  pattern        = "\"telemetry events are being dropped\""

  metric_transformation {
    namespace = "Zespan"
    name      = "${var.name}-dropped"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "dropped" {
  alarm_name          = "${var.name}-dropped"
  alarm_description   = "Telemetry events are being dropped; the functions' log says why"
  namespace           = "Zespan"
  metric_name         = "${var.name}-dropped"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
}
