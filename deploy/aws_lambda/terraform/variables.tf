variable "layer_zip" {
  description = "Path of the zip that `zespan-serverless layer build` has written; none for functions with the decorator"
  type        = string
  default     = null
}

variable "runtimes" {
  description = "The Pythons that the layer is said to be for; python3.14 needs version 6.20 of the provider"
  type        = list(string)
  default     = ["python3.11", "python3.12", "python3.13", "python3.14"]
}

variable "functions" {
  description = "The functions to trace, by a name of your choice: the name of each one's role, and of its log group; both may be shared"
  type = map(object({
    role      = string
    log_group = string
  }))

  validation {
    condition     = alltrue([for key in keys(var.functions) : can(regex("^[\\w.-]+$", key))])
    error_message = "The names become part of a policy's: letters, digits, dots, dashes and underscores only."
  }
}

variable "name" {
  description = "Of the layer, the policies, the metric and the alarm"
  type        = string
  default     = "zespan"
}

variable "api_key_parameter" {
  description = "The SecureString in Parameter Store that holds the key; it is never read by Terraform"
  type        = string
  default     = "/zespan/api-key"

  validation {
    condition     = startswith(var.api_key_parameter, "/")
    error_message = "The name must begin with a slash."
  }
}

variable "kms_key_arn" {
  description = "Your own key that encrypts the parameter; not needed for AWS's (alias/aws/ssm)"
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "Whom the alarm tells: ARNs, such as that of an SNS topic"
  type        = list(string)
  default     = []
}
